//! What an action says when it ends.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// How an action ended: the `outcome` output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Something was changed or checked, and all is well.
    Done,
    /// Nothing was to do.
    Unchanged,
    /// A plan with changes was made; nothing was changed.
    Planned,
    /// A guard refused; nothing was changed.
    Refused,
    /// It did not work.
    Failed,
}

impl Outcome {
    /// Gives the word that stands in the `outcome` output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Planned => "planned",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The result of an action: outputs for workflows, JSON for machines, Markdown for the step
/// summary, plain lines for the terminal.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) outcome: Outcome,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) json: Map<String, Value>,
    pub(crate) markdown: String,
    pub(crate) lines: Vec<String>,
}

impl Report {
    /// Starts a report.
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            outputs: BTreeMap::new(),
            json: Map::new(),
            markdown: String::new(),
            lines: Vec::new(),
        }
    }

    /// Says how it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Gives the Markdown of the step summary.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.markdown
    }

    /// Gives the lines that the terminal shows at the end.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Gives the JSON report, as a part of another one.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut json = self.json.clone();
        json.insert("outcome".into(), Value::from(self.outcome.word()));
        Value::Object(json)
    }

    /// Sets an output that the action's [`Metadata`](crate::Metadata) declares; it stands in the
    /// JSON report as well, under the same name.
    #[must_use]
    pub fn output(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        self.json.insert(name.into(), Value::String(value.clone()));
        self.outputs.insert(name.into(), value);
        self
    }

    /// Sets a field of the JSON report.
    ///
    /// A value that cannot be written as JSON (a map whose keys are no strings) becomes `null`.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Serialize) -> Self {
        self.json.insert(
            name.into(),
            serde_json::to_value(value).unwrap_or(Value::Null),
        );
        self
    }

    /// Adds Markdown to the step summary.
    #[must_use]
    pub fn markdown(mut self, text: impl AsRef<str>) -> Self {
        self.markdown.push_str(text.as_ref());
        if !self.markdown.ends_with('\n') {
            self.markdown.push('\n');
        }
        self
    }

    /// Adds a line to what the terminal shows at the end.
    #[must_use]
    pub fn line(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }
}
