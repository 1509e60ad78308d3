//! Other programs: each call is logged, hides secrets, and names what failed.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use thiserror::Error;

use crate::Secret;
use crate::failure::{Failure, Reason};

/// How many lines of standard error an error repeats.
const TAIL_LINES: usize = 20;

/// A call of another program. Its environment is empty but for `PATH`, `HOME` and what is given,
/// so that credentials of this process do not reach a program that does not need them.
#[derive(Debug)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

/// What a program said that ended well.
#[derive(Debug)]
pub struct Finished {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A program could not be started, or ended badly.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended with another status than 0.
    #[error("`{call}` ended with {status}: {tail}")]
    Status {
        /// The program and its arguments.
        call: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of standard error.
        tail: String,
    },
}

impl Failure for CommandError {
    fn reason(&self) -> Reason {
        match self {
            Self::Start { .. } => Reason::InvalidInput,
            Self::Status { .. } => Reason::RemoteFailed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Start { program, .. } => {
                vec![format!(
                    "the action's image holds `{program}`; on a laptop install it and put it on PATH"
                )]
            }
            Self::Status { .. } => Vec::new(),
        }
    }
}

impl Command {
    /// Names the program.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().into(),
            arguments: Vec::new(),
            variables: inherited(),
            folder: None,
        }
    }

    /// Adds an argument; never a secret one: arguments are visible to every process.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().into()),
        );
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Sets a variable to a secret.
    #[must_use]
    pub fn secret_env(self, name: impl AsRef<OsStr>, value: &Secret) -> Self {
        self.env(name, value.expose())
    }

    /// Sets the folder that the program runs in.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().into());
        self
    }

    /// Gives the call for people.
    #[must_use]
    pub fn call(&self) -> String {
        std::iter::once(&self.program)
            .chain(&self.arguments)
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs the program to its end.
    pub fn output(&self) -> Result<Finished, CommandError> {
        tracing::debug!("run {}", self.call());
        let output = self
            .to_std()
            .output()
            .map_err(|source| self.not_started(source))?;
        self.finish(&output)
    }

    /// Runs the program to its end; it is killed when the future is dropped.
    pub async fn output_async(&self) -> Result<Finished, CommandError> {
        tracing::debug!("run {}", self.call());
        let mut command = tokio::process::Command::from(self.to_std());
        let output = command
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| self.not_started(source))?;
        self.finish(&output)
    }

    /// Starts the program with its outputs piped; it is killed when the child is dropped.
    pub fn spawn_async(&self) -> Result<tokio::process::Child, CommandError> {
        tracing::debug!("run {}", self.call());
        let mut command = tokio::process::Command::from(self.to_std());
        command
            .kill_on_drop(true)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| self.not_started(source))
    }

    /// Gives the call as the standard library's, for what this type does not offer.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that the lint points at"
    )]
    pub fn to_std(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    fn not_started(&self, source: std::io::Error) -> CommandError {
        CommandError::Start {
            program: self.program.to_string_lossy().into_owned(),
            source,
        }
    }

    fn finish(&self, output: &std::process::Output) -> Result<Finished, CommandError> {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Ok(Finished {
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr,
            });
        }
        let lines: Vec<&str> = stderr.trim_end().lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        Err(CommandError::Status {
            call: self.call(),
            status: output.status,
            tail,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a child needs these two of the process itself"
)]
fn inherited() -> Vec<(OsString, OsString)> {
    ["PATH", "HOME"]
        .iter()
        .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
        .collect()
}
