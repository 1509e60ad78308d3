//! How an action fails: a documented reason, an exit status and hints.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::Report;

/// Why an action did not succeed: the word in the `failure-reason` output, and the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// An input or a file of the user's cannot be used.
    InvalidInput,
    /// The remote side (registry, cluster, cloud, GitHub), or the machine itself, refused or broke.
    RemoteFailed,
    /// The remote side did what was asked, and what came of it is not healthy.
    ChecksFailed,
    /// What was waited for did not happen in time.
    TimedOut,
    /// The run was cancelled.
    Cancelled,
    /// What was reviewed is not what would be done now.
    PlanChanged,
    /// A guard forbids the change.
    Refused,
    /// Evidence that the change demands is missing.
    EvidenceMissing,
    /// Another run holds the lock.
    Locked,
    /// The action itself is wrong.
    Bug,
}

impl Reason {
    /// Every reason, in the order in which the documentation lists them.
    pub const ALL: [Self; 10] = [
        Self::InvalidInput,
        Self::RemoteFailed,
        Self::ChecksFailed,
        Self::TimedOut,
        Self::Cancelled,
        Self::PlanChanged,
        Self::Refused,
        Self::EvidenceMissing,
        Self::Locked,
        Self::Bug,
    ];

    /// Gives the word that stands in the `failure-reason` output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid-input",
            Self::RemoteFailed => "remote-failed",
            Self::ChecksFailed => "checks-failed",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::PlanChanged => "plan-changed",
            Self::Refused => "refused",
            Self::EvidenceMissing => "evidence-missing",
            Self::Locked => "locked",
            Self::Bug => "bug",
        }
    }

    /// Gives the exit status of the process.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::RemoteFailed | Self::ChecksFailed | Self::TimedOut | Self::Cancelled => 1,
            Self::InvalidInput => 2,
            Self::PlanChanged | Self::Refused | Self::EvidenceMissing => 3,
            Self::Locked => 4,
            Self::Bug => 70,
        }
    }

    /// Explains the reason in one sentence.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::InvalidInput => "an input or a file cannot be used",
            Self::RemoteFailed => {
                "the registry, cluster, cloud, GitHub or the machine refused or broke"
            }
            Self::ChecksFailed => "what was done is not healthy, or a check does not hold",
            Self::TimedOut => "what was waited for did not happen in time",
            Self::Cancelled => "the run was cancelled",
            Self::PlanChanged => "what was reviewed is not what would be done now",
            Self::Refused => "a guard forbids the change",
            Self::EvidenceMissing => "evidence that the change demands is missing",
            Self::Locked => "another run holds the lock",
            Self::Bug => "the action itself is wrong: please report it",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A place in a file that a user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file, relative to the workspace.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: Option<u64>,
}

/// An error that an action may end with.
///
/// The message is a lower-case fragment that says what was being done and to what; the cause is
/// the error's `source`, never repeated in the text.
pub trait Failure: Error + Send + Sync {
    /// Says why.
    fn reason(&self) -> Reason;

    /// Gives next steps, each a sentence.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// Says where in the user's files the cause is.
    fn position(&self) -> Option<Position> {
        None
    }
}

/// What the system says about a disk without room (`ENOSPC`), and what programs repeat.
const DISK_FULL: &str = "No space left on device";
/// What to do about it.
const DISK_HINT: &str =
    "the machine's disk is full: free some space, or set RUNNER_TEMP to a folder on a larger disk";

/// Any [`Failure`], for the signature of an action's function.
#[derive(Debug)]
pub struct Failed {
    failure: Box<dyn Failure>,
    report: Option<Box<Report>>,
}

impl Failed {
    /// Adds a report of what was done or found before it failed: its outputs, JSON and Markdown
    /// reach the workflow as well. The failure decides the outcome.
    #[must_use]
    pub fn with(mut self, report: Report) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// Gives the report of what was done or found before it failed.
    pub(crate) fn report(&self) -> Option<&Report> {
        self.report.as_deref()
    }

    /// Gives the failure.
    #[must_use]
    pub fn failure(&self) -> &dyn Failure {
        &*self.failure
    }

    /// Says why: where the disk is full, neither an input nor a file is at fault.
    #[must_use]
    pub fn reason(&self) -> Reason {
        if self.disk_is_full() {
            Reason::RemoteFailed
        } else {
            self.failure.reason()
        }
    }

    /// Gives next steps, each a sentence.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        if self.disk_is_full() {
            vec![DISK_HINT.into()]
        } else {
            self.failure.hints()
        }
    }

    /// Says whether the action, or a program that it called, could not write for want of room.
    fn disk_is_full(&self) -> bool {
        self.chain().iter().any(|text| text.contains(DISK_FULL))
    }

    /// Gives the message and its causes, outermost first.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.failure.to_string()];
        let mut source = self.failure.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Some libraries repeat their cause in their own message.
            if chain.last().is_none_or(|last| !last.ends_with(&text)) {
                chain.push(text);
            }
            source = error.source();
        }
        chain
    }
}

impl<F: Failure + 'static> From<F> for Failed {
    fn from(failure: F) -> Self {
        Self {
            failure: Box::new(failure),
            report: None,
        }
    }
}
