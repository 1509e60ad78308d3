//! Policy: what rules of a user's for `cfn-guard` say of the templates, before anything is planned.

use std::fmt;
use std::path::{Path, PathBuf};

use action_kit::{Command, CommandError, Failure, Reason};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::layers::Layer;

/// The program.
const PROGRAM: &str = "cfn-guard";
/// How it ends when a template breaks a rule (AWS CloudFormation Guard 3, exit codes).
const BROKEN: i32 = 19;

/// A template breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule's name.
    pub rule: String,
    /// The layer.
    pub layer: String,
    /// Where in its template: `/Resources/Bucket/Properties`.
    pub place: String,
    /// What the rule says of it, else what was compared.
    pub message: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            layer,
            place,
            message,
        } = self;
        write!(f, "{layer}: `{rule}` at {place}: {message}")
    }
}

/// The templates were not checked, or break a rule.
#[derive(Debug, Error)]
pub enum GuardError {
    /// They break rules.
    #[error("the templates break {} of the rules:{}", breaches.len(), listed(breaches))]
    Broken {
        /// Where, in the order of layers.
        breaches: Vec<Breach>,
    },
    /// There is nothing at the path of the rules.
    #[error("there are no rules at `{}`", path.display())]
    NoRules {
        /// The path.
        path: PathBuf,
    },
    /// The program does not take the rules.
    #[error("check the templates by the rules: {said}")]
    Unusable {
        /// What it says.
        said: String,
    },
    /// The program cannot be run.
    #[error(transparent)]
    Program(#[from] CommandError),
    /// What it reads cannot be written.
    #[error("write the templates for `{PROGRAM}`")]
    File(#[from] std::io::Error),
}

fn listed(breaches: &[Breach]) -> String {
    let lines = breaches.iter().map(|breach| format!("\n  {breach}"));
    lines.collect::<Vec<_>>().concat()
}

impl Failure for GuardError {
    fn reason(&self) -> Reason {
        match self {
            Self::Broken { .. } => Reason::Refused,
            Self::NoRules { .. } | Self::Unusable { .. } => Reason::InvalidInput,
            Self::Program(error) => error.reason(),
            Self::File(_) => Reason::RemoteFailed,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Broken { .. } => {
                "correct the templates (`stacks`), or the rules (`guard-rules`): a rule can leave \
                 resources out by `when`"
            }
            Self::NoRules { .. } => {
                "name files, or folders with files that end with `.guard` or `.ruleset`, in \
                 `guard-rules`"
            }
            Self::Unusable { .. } => "`cfn-guard validate` with the same rules says more",
            Self::Program(error) => return error.hints(),
            Self::File(_) => "make room where temporary files are",
        };
        vec![hint.into()]
    }
}

/// Refuses templates that break a rule. Rules are files, or folders of them; without any nothing is
/// asked.
pub fn check(layers: &[Layer], rules: &[PathBuf]) -> Result<(), GuardError> {
    if rules.is_empty() {
        return Ok(());
    }
    if let Some(path) = rules.iter().find(|path| !path.exists()) {
        return Err(GuardError::NoRules { path: path.clone() });
    }
    let folder = tempfile::tempdir()?;
    for layer in layers {
        fs_err::write(file(folder.path(), layer), &layer.template.body)?;
    }
    let words = ["--structured", "--output-format", "json", "--show-summary"];
    let command = Command::new(PROGRAM)
        .arg("validate")
        .args(words)
        .arg("none")
        .arg("--rules")
        .args(rules)
        .arg("--data")
        .args(layers.iter().map(|layer| file(folder.path(), layer)));
    tracing::debug!("run {}", command.call());
    let output = command
        .to_std()
        .output()
        .map_err(|source| CommandError::Start {
            program: PROGRAM.into(),
            source,
        })?;
    let said = String::from_utf8_lossy(&output.stdout);
    let reports: Option<Vec<FileReport>> = match output.status.code() {
        Some(0 | BROKEN) => serde_json::from_str(&said).ok(),
        _ => None,
    };
    let Some(reports) = reports else {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(GuardError::Unusable { said });
    };
    let breaches: Vec<Breach> = reports.iter().flat_map(FileReport::breaches).collect();
    if breaches.is_empty() {
        let count = layers.len();
        tracing::info!("{count} templates keep the rules of `guard-rules`");
        return Ok(());
    }
    Err(GuardError::Broken { breaches })
}

fn file(folder: &Path, layer: &Layer) -> PathBuf {
    folder.join(format!("{}.yaml", layer.name))
}

/// What the program says of a template.
#[derive(Deserialize)]
struct FileReport {
    name: String,
    not_compliant: Vec<Value>,
}

impl FileReport {
    fn breaches(&self) -> Vec<Breach> {
        let layer = Path::new(&self.name).file_stem().unwrap_or_default();
        let layer = layer.to_string_lossy();
        let mut breaches = Vec::new();
        for rule in &self.not_compliant {
            let name = rule["Rule"]["name"].as_str().unwrap_or_default();
            gather(&rule["Rule"]["checks"], &mut |place, message| {
                breaches.push(Breach {
                    rule: name.into(),
                    layer: layer.clone().into_owned(),
                    place,
                    message,
                });
            });
        }
        breaches
    }
}

/// Finds the clauses that do not hold below a rule, however deep rules are in each other.
fn gather(value: &Value, found: &mut impl FnMut(String, String)) {
    match value {
        Value::Array(values) => {
            for value in values {
                gather(value, found);
            }
        }
        Value::Object(object) => {
            let messages = &value["messages"];
            if object.contains_key("context") {
                let words = ["custom_message", "error_message"].iter();
                let message = words
                    .filter_map(|word| messages[word].as_str())
                    .find(|text| !text.is_empty())
                    .unwrap_or_default();
                let message: Vec<&str> = message.split_whitespace().collect();
                let place = place(value).unwrap_or_else(|| "the template".into());
                found(place, message.join(" "));
            } else {
                for value in object.values() {
                    gather(value, found);
                }
            }
        }
        _ => {}
    }
}

/// Finds the path of what was looked at.
fn place(value: &Value) -> Option<String> {
    let object = value.as_object()?;
    if let Some(path) = object.get("path").and_then(Value::as_str) {
        return Some(path.to_owned());
    }
    let inner = [
        "check",
        "Resolved",
        "UnResolved",
        "InResolved",
        "from",
        "value",
        "traversed_to",
        "unresolved",
    ];
    inner.iter().find_map(|name| place(object.get(*name)?))
}
