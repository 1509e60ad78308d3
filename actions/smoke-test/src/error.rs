//! Everything that ends a smoke test badly.

use std::path::PathBuf;

use action_kit::{Failure, Position, Reason};
use thiserror::Error;

use crate::variables::VariableError;

/// A smoke test cannot start, or something does not hold.
#[derive(Debug, Error)]
pub enum SmokeError {
    /// A pattern is none.
    #[error("read the pattern `{pattern}` of `files`")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        source: glob::PatternError,
    },
    /// A pattern finds nothing.
    #[error("no file matches `{pattern}`")]
    NoFile {
        /// The pattern.
        pattern: String,
    },
    /// A file cannot be read.
    #[error("read `{name}`")]
    Unreadable {
        /// The file, relative to the workspace.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no Hurl file.
    #[error("parse `{name}`:\n{shown}")]
    Syntax {
        /// The file, relative to the workspace.
        name: String,
        /// The line.
        line: u64,
        /// The place, as Hurl shows it.
        shown: String,
    },
    /// A file asks for nothing.
    #[error("`{name}` has no request")]
    NoRequest {
        /// The file, relative to the workspace.
        name: String,
    },
    /// A line of `secrets` is no variable.
    #[error("read line {line} of `secrets`")]
    SecretLine {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: VariableError,
    },
    /// A secret is too short to be masked.
    #[error("the value of `{name}` in `secrets` is too short to be masked")]
    SecretTooShort {
        /// The variable.
        name: String,
    },
    /// The certificate authorities cannot be read.
    #[error("read the certificate authorities of `cacert`")]
    NoCertificates {
        /// Why.
        source: std::io::Error,
    },
    /// The release did not become ready.
    #[error("`{url}` did not answer 2xx within {seconds} s: {last}")]
    NotReady {
        /// The address.
        url: String,
        /// What came last.
        last: String,
        /// The time there was.
        seconds: u32,
        /// Whether something answers there, but not at this path.
        not_found: bool,
    },
    /// Some checks do not hold.
    #[error("not all checks hold: {failed} of {checked} requests failed")]
    ChecksFailed {
        /// How many requests do not hold.
        failed: usize,
        /// How many were checked.
        checked: usize,
    },
    /// The checks take too long.
    #[error("`{file}` was not through after {seconds} s")]
    TimedOut {
        /// The file, relative to the workspace.
        file: String,
        /// The time there was.
        seconds: u32,
    },
    /// The engine broke.
    #[error("run `{file}`: the engine ended without a result")]
    Engine {
        /// The file, relative to the workspace.
        file: String,
    },
}

impl Failure for SmokeError {
    fn reason(&self) -> Reason {
        match self {
            Self::Pattern { .. }
            | Self::NoFile { .. }
            | Self::Unreadable { .. }
            | Self::Syntax { .. }
            | Self::NoRequest { .. }
            | Self::SecretLine { .. }
            | Self::SecretTooShort { .. }
            | Self::NoCertificates { .. } => Reason::InvalidInput,
            Self::ChecksFailed { .. } => Reason::ChecksFailed,
            Self::NotReady { .. } | Self::TimedOut { .. } => Reason::TimedOut,
            Self::Engine { .. } => Reason::Bug,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoFile { .. } => {
                "patterns are relative to the workspace: check out the repository first, or set `files`"
            }
            Self::Syntax { .. } => "the format is described at https://hurl.dev",
            Self::NoRequest { .. } => {
                "write a request, `GET {{base_url}}/healthz` say, or delete the file"
            }
            Self::SecretLine { .. } => "write one NAME=VALUE a line; a value has no line break",
            Self::SecretTooShort { .. } => {
                "give four characters or more, or pass it in `variables` if it is no secret"
            }
            Self::NotReady {
                not_found: true, ..
            } => {
                "something answers, but not there: set `wait-ready` to the path that tells readiness, or `none`"
            }
            Self::NotReady { .. } => {
                "look at the release's pods and its ingress, at `connect-to` and `cacert`, or raise `timeout-seconds`"
            }
            Self::TimedOut { .. } => {
                "raise `timeout-seconds`, or look for a request that never ends: each has 30 s unless its `[Options]` say `max-time`"
            }
            Self::Pattern { .. }
            | Self::Unreadable { .. }
            | Self::NoCertificates { .. }
            | Self::ChecksFailed { .. }
            | Self::Engine { .. } => return Vec::new(),
        };
        vec![hint.into()]
    }

    fn position(&self) -> Option<Position> {
        let (name, line) = match self {
            Self::Syntax { name, line, .. } => (name, Some(*line)),
            Self::NoRequest { name } | Self::Unreadable { name, .. } => (name, None),
            _ => return None,
        };
        Some(Position {
            file: PathBuf::from(name),
            line,
        })
    }
}

/// One check does not hold.
#[derive(Debug, Error)]
#[error("`{request}` {answer}\n{shown}")]
pub(crate) struct CheckFailed {
    /// Method and address.
    pub(crate) request: String,
    /// Status and time, or that there was none.
    pub(crate) answer: String,
    /// The check, what was expected and what came, as Hurl shows it.
    pub(crate) shown: String,
    /// The file, relative to the workspace.
    pub(crate) name: String,
    /// The line of the check.
    pub(crate) line: u64,
    /// The next step.
    pub(crate) hint: Option<String>,
}

impl Failure for CheckFailed {
    fn reason(&self) -> Reason {
        Reason::ChecksFailed
    }

    fn hints(&self) -> Vec<String> {
        self.hint.iter().cloned().collect()
    }

    fn position(&self) -> Option<Position> {
        Some(Position {
            file: PathBuf::from(&self.name),
            line: Some(self.line),
        })
    }
}
