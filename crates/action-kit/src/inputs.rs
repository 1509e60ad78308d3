//! From the runner's `INPUT_*` variables and the command line to one clap struct.
//!
//! Runner facts that this module stands on (documentation of GitHub Actions, "Metadata syntax"):
//! an input's variable is `INPUT_` and its name in upper case, spaces turned into `_`, hyphens
//! kept; an omitted input arrives as an empty string; `required` is not enforced; every value is a
//! string. So empty values are dropped before clap sees them (defaults and `required` then work),
//! booleans may be written in any of YAML's spellings, and a list has one item a line.

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use thiserror::Error;

use crate::describe::Metadata;
use crate::failure::{Failure, Reason};
use crate::{Environment, Secret};

/// The inputs cannot be used.
#[derive(Debug, Error)]
pub enum InputError {
    /// clap refused: the text names the input, the value and the choices.
    #[error("{message}")]
    Unusable {
        /// What clap said, in the runner's words when the value came from a workflow.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A secret stands on the command line, where every process of the machine can read it.
    #[error("`--{name}` holds a secret and is given on the command line")]
    SecretInArguments {
        /// The input.
        name: String,
    },
    /// A secret's source cannot be read.
    #[error("read `--{name}` from `{from}`")]
    SecretUnreadable {
        /// The input.
        name: String,
        /// `env:NAME` or `file:PATH`.
        from: String,
    },
}

impl Failure for InputError {
    fn reason(&self) -> Reason {
        Reason::InvalidInput
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unusable { hint, .. } => vec![hint.clone()],
            Self::SecretInArguments { name } => vec![format!(
                "write `--{name} env:NAME` or `--{name} file:PATH`: arguments are visible to every process"
            )],
            Self::SecretUnreadable { .. } => vec!["set the variable, or create the file".into()],
        }
    }
}

/// What the inputs were parsed to, or text that the user asked for (`--help`, `--version`).
#[derive(Debug)]
pub enum Parsed<I> {
    /// The inputs, and the secrets among them.
    Inputs(I, Vec<Secret>),
    /// Text to print to standard output.
    Text(String),
}

/// Builds the command that describes an action's inputs.
#[must_use]
pub fn command<I: Args>(metadata: &Metadata) -> Command {
    let command = Command::new(metadata.name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(metadata.description)
        .after_help(
            "In a workflow every option is an input of the same name.\n\
             Exit status: 0 done or nothing to do, 1 failed, 2 bad input, 3 refused, 4 locked by another run, 70 a bug of ours.",
        );
    I::augment_args(command)
}

/// Parses the runner's variables and the command line; a flag wins over a variable.
pub fn parse<I: Args + FromArgMatches>(
    metadata: &Metadata,
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Parsed<I>, InputError> {
    let command = command::<I>(metadata);
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut secrets = resolve_secrets(&command, &mut arguments, environment)?;
    let mut all: Vec<OsString> = vec![metadata.name.into()];
    for arg in command.get_arguments() {
        let Some(name) = arg.get_long() else { continue };
        let Some(value) = environment.get(&variable(name)) else {
            continue;
        };
        if is_given(name, &arguments) {
            continue;
        }
        if is_secret(arg) {
            secrets.push(Secret::new(value));
        }
        for item in items(arg, value) {
            all.push(format!("--{name}={item}").into());
        }
    }
    all.append(&mut arguments);
    let outcome = command
        .try_get_matches_from(all)
        .and_then(|matches| I::from_arg_matches(&matches));
    match outcome {
        Ok(inputs) => Ok(Parsed::Inputs(inputs, secrets)),
        Err(error) if !error.use_stderr() => Ok(Parsed::Text(error.to_string())),
        Err(error) => Err(unusable(&error.to_string(), environment)),
    }
}

/// Gives the name of the runner's variable for an input.
#[must_use]
pub fn variable(name: &str) -> String {
    format!("INPUT_{}", name.to_uppercase().replace(' ', "_"))
}

/// Says whether an input's value must not be shown.
#[must_use]
pub fn is_secret(arg: &Arg) -> bool {
    let secret: ValueParser = ValueParser::new(|text: &str| text.parse::<Secret>());
    arg.get_value_parser().type_id() == secret.type_id()
}

/// Says whether an input is a list: one item a line in a workflow, a repeated flag in a shell.
#[must_use]
pub fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Says whether an input is `true` or `false`.
#[must_use]
pub fn is_boolean(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == ValueParser::bool().type_id()
}

fn items(arg: &Arg, value: &str) -> Vec<String> {
    if is_list(arg) {
        return value
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(String::from)
            .collect();
    }
    if is_boolean(arg) {
        // YAML 1.2's core schema, which is what workflow files follow.
        return vec![match value.trim() {
            "True" | "TRUE" => "true".into(),
            "False" | "FALSE" => "false".into(),
            other => other.into(),
        }];
    }
    vec![value.into()]
}

fn is_given(name: &str, arguments: &[OsString]) -> bool {
    let flag = format!("--{name}");
    let with_value = format!("--{name}=");
    arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == flag || argument.starts_with(&with_value))
}

/// Replaces `--secret env:NAME` and `--secret file:PATH` by the values.
fn resolve_secrets(
    command: &Command,
    arguments: &mut [OsString],
    environment: &Environment,
) -> Result<Vec<Secret>, InputError> {
    let names: Vec<&str> = command
        .get_arguments()
        .filter(|arg| is_secret(arg))
        .filter_map(Arg::get_long)
        .collect();
    let mut secrets = Vec::new();
    for index in 0..arguments.len() {
        let Some(argument) = arguments[index].to_str() else {
            continue;
        };
        let Some(argument) = argument.strip_prefix("--") else {
            continue;
        };
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument.to_owned(), None),
        };
        if !names.contains(&name.as_str()) {
            continue;
        }
        let place = if inline.is_some() { index } else { index + 1 };
        let next = arguments
            .get(place)
            .and_then(|value| value.to_str())
            .map(String::from);
        let Some(from) = inline.clone().or(next) else {
            continue;
        };
        let value = secret_value(&name, &from, environment)?;
        arguments[place] = if inline.is_some() {
            format!("--{name}={value}").into()
        } else {
            value.clone().into()
        };
        secrets.push(Secret::new(value));
    }
    Ok(secrets)
}

fn secret_value(name: &str, from: &str, environment: &Environment) -> Result<String, InputError> {
    let found = if let Some(variable) = from.strip_prefix("env:") {
        environment.get(variable).map(String::from)
    } else if let Some(path) = from.strip_prefix("file:") {
        fs_err::read_to_string(path)
            .ok()
            .map(|text| text.trim_end().to_owned())
            .filter(|text| !text.is_empty())
    } else {
        return Err(InputError::SecretInArguments { name: name.into() });
    };
    found.ok_or_else(|| InputError::SecretUnreadable {
        name: name.into(),
        from: from.into(),
    })
}

/// Turns clap's several paragraphs into one message and a hint, in the words of a workflow when
/// the process runs in one.
fn unusable(text: &str, environment: &Environment) -> InputError {
    let text = text.trim_start_matches("error: ");
    let (message, _) = text.split_once("\n\nUsage:").unwrap_or((text, ""));
    let (message, _) = message
        .split_once("\n\nFor more information")
        .unwrap_or((message, ""));
    let mut message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint = if environment.in_actions() {
        message = message
            .replace(
                "the following required arguments were not provided:",
                "required inputs are missing:",
            )
            .replace("--", "");
        "set it in the step's `with:` block; the action's README lists the inputs".to_owned()
    } else {
        "`--help` lists the inputs and their values".to_owned()
    };
    InputError::Unusable { message, hint }
}
