//! Runs an action's image as GitHub's runner runs a container action: the same variables, mounts
//! and command files, and masks that are honoured.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::canary::{self, ProcessWatch};

/// The folder that a runner mounts its command files at.
const FILE_COMMANDS: &str = "/github/file_commands";
const WORKSPACE: &str = "/github/workspace";

/// Where actions run.
#[derive(Debug)]
pub struct Runner {
    /// Address of the Docker daemon, when it is not the usual one.
    pub docker_host: Option<String>,
    /// The checkout that the actions see.
    pub workspace: PathBuf,
    /// Where logs and command files are kept.
    pub folder: PathBuf,
}

/// One step of a job.
#[derive(Clone, Debug, Default)]
pub struct ActionStep {
    /// The action's name.
    pub action: String,
    /// A name for the step, unique in the run: its files are called so.
    pub id: String,
    /// The image, by digest.
    pub image: String,
    /// The `with:` block.
    pub inputs: BTreeMap<String, String>,
    /// The `env:` block; values may be secret.
    pub variables: BTreeMap<String, String>,
}

/// What a step did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit status of the container.
    pub code: i32,
    /// The outputs.
    pub outputs: BTreeMap<String, String>,
    /// The JSON report, `null` when there is none.
    pub report: Value,
    /// The log, masked.
    pub log: String,
    /// Where the log is kept.
    pub log_file: PathBuf,
    /// How long it took.
    pub took: Duration,
}

impl ActionStep {
    /// Starts a step.
    pub fn new(action: &str, id: &str, image: &str) -> Self {
        Self {
            action: action.into(),
            id: id.into(),
            image: image.into(),
            ..Self::default()
        }
    }

    /// Sets an input.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.inputs.insert(name.into(), value.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl Ran {
    /// Gives an output that must be there.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
            .with_context(|| {
                format!(
                    "the action gave no output `{name}`; its log: {}",
                    self.log_file.display()
                )
            })
    }
}

impl Runner {
    /// Runs a step, and fails when it does.
    pub fn run(&self, step: &ActionStep) -> Result<Ran> {
        let ran = self.attempt(step)?;
        if ran.code != 0 {
            let lines: Vec<&str> = ran.log.lines().collect();
            let tail = lines[lines.len().saturating_sub(15)..].join("\n");
            bail!(
                "the action `{}` ended with {}:\n{tail}\n(the whole log: {})",
                step.action,
                ran.code,
                ran.log_file.display()
            );
        }
        Ok(ran)
    }

    /// Runs a step and gives whatever came of it.
    pub fn attempt(&self, step: &ActionStep) -> Result<Ran> {
        let folder = self.folder.join(&step.id);
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        fs_err::create_dir_all(folder.join("home"))?;
        for file in ["output", "summary", "env", "path"] {
            fs_err::write(folder.join(file), "")?;
        }
        fs_err::write(
            folder.join("event.json"),
            json!({ "ref": "refs/heads/main" }).to_string(),
        )?;
        let name = format!("fastapi-eks-{}", step.id);
        // What a killed run left behind.
        let _ = self.docker().args(["rm", "--force", &name]).output();
        let started = Instant::now();
        let watch = ProcessWatch::start();
        let (code, log) = self.follow(step, &name, &folder)?;
        let seen = watch.finish();
        if !seen.is_empty() {
            bail!("a secret stands in the arguments of {}", seen.join(", "));
        }
        let outputs = parse_outputs(&fs_err::read_to_string(folder.join("output"))?)?;
        let report = outputs
            .get("report")
            .and_then(|file| fs_err::read_to_string(self.workspace.join(file)).ok());
        let report = report
            .as_deref()
            .map_or(Ok(Value::Null), serde_json::from_str);
        Ok(Ran {
            code,
            outputs,
            report: report.with_context(|| format!("read the report of `{}`", step.action))?,
            log,
            log_file: folder.join("log"),
            took: started.elapsed(),
        })
    }

    fn docker(&self) -> Command {
        let docker = Command::new("docker");
        match &self.docker_host {
            Some(host) => docker.env("DOCKER_HOST", host),
            None => docker,
        }
    }

    /// Starts the container and copies its log, line by line and masked, to the terminal and a file.
    fn follow(&self, step: &ActionStep, name: &str, folder: &Path) -> Result<(i32, String)> {
        let mut docker = self
            .docker()
            .args([
                "run",
                "--rm",
                "--name",
                name,
                "--network",
                "host",
                "--workdir",
                WORKSPACE,
            ])
            .arg(format!("--volume={}:{WORKSPACE}", self.workspace.display()))
            .arg(format!(
                "--volume={}:/github/home",
                folder.join("home").display()
            ))
            .arg(format!("--volume={}:{FILE_COMMANDS}", folder.display()));
        for (variable, value) in Self::variables(step) {
            // By name: the value goes through the environment, never through an argument.
            docker = docker.arg("--env").arg(&variable).env(variable, value);
        }
        let docker = docker.arg(&step.image);
        let mut child = docker
            .to_std()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start `docker run {}`", step.image))?;
        let (sender, lines) = mpsc::channel();
        let readers = [
            child
                .stdout
                .take()
                .map(|stream| read_lines(stream, sender.clone())),
            child.stderr.take().map(|stream| read_lines(stream, sender)),
        ];
        let mut masks = Masks::default();
        let mut file = fs_err::File::create(folder.join("log"))?;
        let mut log = String::new();
        for line in lines {
            let Some(line) = masks.line(&line) else {
                continue;
            };
            writeln!(file, "{line}")?;
            eprintln!("      │ {line}");
            log.push_str(&line);
            log.push('\n');
        }
        for reader in readers.into_iter().flatten() {
            let _ = reader.join();
        }
        let status = child.wait().context("wait for `docker run`")?;
        Ok((status.code().unwrap_or(-1), log))
    }

    /// Gives the variables that a runner sets, canaries in place of a job's credentials, and the
    /// step's own.
    fn variables(step: &ActionStep) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> = [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_ACTION", &step.id),
            ("GITHUB_ENV", "/github/file_commands/env"),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_EVENT_PATH", "/github/file_commands/event.json"),
            ("GITHUB_JOB", "application"),
            ("GITHUB_OUTPUT", "/github/file_commands/output"),
            ("GITHUB_PATH", "/github/file_commands/path"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_REPOSITORY", "acme/orders"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_RUN_ID", "1"),
            ("GITHUB_SERVER_URL", "https://github.example.com"),
            ("GITHUB_STEP_SUMMARY", "/github/file_commands/summary"),
            ("GITHUB_WORKSPACE", WORKSPACE),
            ("HOME", "/github/home"),
            ("RUNNER_OS", "Linux"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        variables.extend(canary::variables());
        variables.extend(step.variables.clone());
        for (name, value) in &step.inputs {
            variables.insert(
                format!("INPUT_{}", name.to_uppercase().replace(' ', "_")),
                value.clone(),
            );
        }
        variables
    }
}

/// The values that an action asked to be hidden.
#[derive(Default)]
struct Masks(Vec<String>);

impl Masks {
    /// Takes a line of the log: one that registers a mask is swallowed, as a runner does.
    fn line(&mut self, line: &str) -> Option<String> {
        if let Some(value) = line.strip_prefix("::add-mask::") {
            self.0.push(
                value
                    .replace("%0D", "\r")
                    .replace("%0A", "\n")
                    .replace("%25", "%"),
            );
            return None;
        }
        Some(self.0.iter().fold(line.to_owned(), |line, mask| {
            line.replace(mask.as_str(), "***")
        }))
    }
}

fn read_lines(
    stream: impl Read + Send + 'static,
    sender: mpsc::Sender<String>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
            let line = String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\n', '\r'])
                .to_owned();
            if sender.send(line).is_err() {
                return;
            }
            bytes.clear();
        }
    })
}

/// Parses the file of outputs: `NAME=VALUE` lines and heredocs.
fn parse_outputs(text: &str) -> Result<BTreeMap<String, String>> {
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((name, delimiter)) = line.split_once("<<") {
            let mut value = Vec::new();
            loop {
                match lines.next() {
                    Some(line) if line == delimiter => break,
                    Some(line) => value.push(line),
                    None => bail!("the output `{name}` has no closing delimiter"),
                }
            }
            outputs.insert(name.to_owned(), value.join("\n"));
        } else if let Some((name, value)) = line.split_once('=') {
            outputs.insert(name.to_owned(), value.to_owned());
        } else if !line.is_empty() {
            bail!("`{line}` is not an output");
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_lines_or_heredocs() {
        let outputs = parse_outputs("a=1\nb<<end\nx=y\n\nz\nend\nc=\n").unwrap();
        let expected = [("a", "1"), ("b", "x=y\n\nz"), ("c", "")];
        assert_eq!(
            outputs,
            expected
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        );
        assert!(
            parse_outputs("b<<end\nx")
                .unwrap_err()
                .to_string()
                .contains("closing")
        );
        assert!(parse_outputs("nonsense").is_err());
    }

    #[test]
    fn a_masked_value_is_swallowed_and_hidden() {
        let mut masks = Masks::default();
        assert_eq!(masks.line("::add-mask::pass%25word"), None);
        assert_eq!(
            masks.line("the pass%word is pass%word").as_deref(),
            Some("the *** is ***")
        );
    }
}
