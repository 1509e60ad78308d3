//! What a step is.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::context::Context;

/// A part of the run. A step converges: run again on what is already up it checks, and returns
/// within seconds.
pub struct Step {
    /// The word for `--from` and `--only`.
    pub name: &'static str,
    /// What it does, for the progress line.
    pub about: &'static str,
    /// How long it takes on a new machine of two cores.
    pub cold: Duration,
    /// How long it takes when everything that can be kept is there.
    pub warm: Duration,
    /// The work.
    pub run: fn(&Context) -> Result<Outcome>,
}

/// What a step did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What ran for real, in one line.
    pub real: String,
    /// Facts for the report.
    pub facts: BTreeMap<String, Value>,
}

impl Outcome {
    /// Says what ran for real.
    pub fn new(real: impl Into<String>) -> Self {
        Self {
            real: real.into(),
            facts: BTreeMap::new(),
        }
    }

    /// Adds a fact to the report.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Serialize) -> Self {
        self.facts.insert(
            name.into(),
            serde_json::to_value(value).unwrap_or(Value::Null),
        );
        self
    }
}
