//! Saved plans: what an action would change, as a value that is shown, reviewed and compared.
//!
//! A [`Plan`] is made by the pure part of an action from what was observed. Its [digest](Plan::digest)
//! covers everything but the time of its making, so two runs that see the same world give the same
//! digest, and that is what a reviewer approves. Nothing here reads or writes anything: a plan file
//! is never trusted as input, apply makes its own plan and [compares](Plan::differences).

mod digest;
mod render;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use digest::{Digest, DigestError, canonical_json};
pub use render::Counts;

/// The schema version that this crate writes and reads.
pub const SCHEMA: u32 = 1;

/// What an action would do to its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The schema version.
    pub schema: u32,
    /// The action that made it.
    pub action: String,
    /// What would be changed: an environment, a release, a database.
    pub subject: String,
    /// Digest of what was observed and of what was asked for.
    pub observed: Digest,
    /// The changes, in the order in which they would be made.
    pub changes: Vec<Change>,
    /// When it was made (RFC 3339); not covered by the digest.
    pub created: String,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What is done.
    pub operation: Operation,
    /// The part of the subject that it belongs to (a stack, a release); empty where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// What sort of thing it is done to: `AWS::EC2::VPC`, `Deployment`, `revision`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What it is done to.
    pub target: String,
    /// Why, or what about it changes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether something goes with it that cannot be made again, such as data.
    #[serde(default, skip_serializing_if = "is_false")]
    pub loses_data: bool,
    /// Whether its values are known only when earlier changes are made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub known_after_apply: bool,
}

/// What is done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Make it.
    Create,
    /// Change it where it is.
    Update,
    /// Make a new one and delete the old one.
    Replace,
    /// Delete it.
    Delete,
    /// Run it, once: a migration, a job.
    Run,
}

/// A plan cannot be read.
#[derive(Debug, Error)]
pub enum PlanError {
    /// It is no plan.
    #[error("read a plan")]
    NotAPlan(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("the plan has schema {found}, this version reads {SCHEMA}")]
    Schema {
        /// The schema of the file.
        found: u64,
    },
}

impl PlanError {
    /// Says what to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAPlan(_) => {
                "give the file that the action wrote when it ran with `mode: plan`"
            }
            Self::Schema { .. } => "make the plan with the version of the action that applies it",
        }
    }
}

impl Change {
    /// Starts a change; set the other fields where they have a meaning.
    pub fn new(operation: Operation, kind: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            operation,
            part: String::new(),
            kind: kind.into(),
            target: target.into(),
            reason: String::new(),
            loses_data: false,
            known_after_apply: false,
        }
    }

    /// Sets the part of the subject.
    #[must_use]
    pub fn part(mut self, part: impl Into<String>) -> Self {
        self.part = part.into();
        self
    }

    /// Sets the reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

impl Plan {
    /// Makes a plan; `created` is the caller's clock.
    pub fn new(
        action: impl Into<String>,
        subject: impl Into<String>,
        observed: Digest,
        changes: Vec<Change>,
        created: impl Into<String>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            action: action.into(),
            subject: subject.into(),
            observed,
            changes,
            created: created.into(),
        }
    }

    /// Reads a saved plan.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(SCHEMA) => Err(PlanError::Schema { found }),
            _ => Ok(serde_json::from_value(value)?),
        }
    }

    /// Writes the plan as canonical JSON: sorted keys, no spaces.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical_json(self)
    }

    /// Gives the digest that a reviewer approves: of everything but `created`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let covered = Self {
            created: String::new(),
            ..self.clone()
        };
        Digest::of(canonical_json(&covered))
    }

    /// Says whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Says in which points this plan differs from the one that was reviewed; empty when their
    /// digests are equal.
    #[must_use]
    pub fn differences(&self, reviewed: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let fields = [
            ("action", &self.action, &reviewed.action),
            ("subject", &self.subject, &reviewed.subject),
        ];
        for (name, now, then) in fields {
            if now != then {
                differences.push(format!("{name} is `{now}`, reviewed was `{then}`"));
            }
        }
        for change in &self.changes {
            if !reviewed.changes.contains(change) {
                differences.push(format!("new: {}", change.line()));
            }
        }
        for change in &reviewed.changes {
            if !self.changes.contains(change) {
                differences.push(format!("gone: {}", change.line()));
            }
        }
        if differences.is_empty() && self.digest() != reviewed.digest() {
            differences.push(if self.observed == reviewed.observed {
                "the order of the changes".into()
            } else {
                "the same changes, to or from values other than the reviewed ones".into()
            });
        }
        differences
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
