//! A plan for people: lines for a terminal, Markdown for a summary or a comment.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use crate::{Change, Operation, Plan};

/// More rows than this are folded in Markdown.
const UNFOLDED_ROWS: usize = 25;
/// So many characters of a reason are shown where there is no room for all changes.
const SHORT_REASON: usize = 200;

/// How many changes of each operation a plan has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Operation, usize>);

impl Counts {
    /// Gives the number of changes with an operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> usize {
        self.0.get(&operation).copied().unwrap_or_default()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no changes");
        }
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(operation, count)| format!("{count} to {}", operation.word()))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

impl Operation {
    /// Gives the word for people and machines.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Run => "run",
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Replace => '±',
            Self::Delete => '-',
            Self::Run => '>',
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Change {
    /// Renders the change as one line, without its part.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!(
            "{} {:<7} {}",
            self.operation.sign(),
            self.operation,
            self.target
        );
        if !self.kind.is_empty() {
            let _ = write!(line, " ({})", self.kind);
        }
        let remarks = self.remarks();
        if !remarks.is_empty() {
            let _ = write!(line, ": {remarks}");
        }
        line
    }

    /// Says how soon a reviewer wants to see the change: the gravest is the least.
    fn gravity(&self) -> u8 {
        match self.operation {
            _ if self.loses_data => 0,
            Operation::Replace | Operation::Delete => 1,
            Operation::Create | Operation::Update | Operation::Run => 2,
        }
    }

    fn short_row(&self) -> String {
        let mut remarks = self.remarks();
        if let Some((end, _)) = remarks.char_indices().nth(SHORT_REASON) {
            remarks.truncate(end);
            remarks.push('…');
        }
        format!(
            "| {} {} | {} | {} | {} | {} |\n",
            self.operation.sign(),
            self.operation,
            cell(&self.target),
            cell(&self.kind),
            cell(&self.part),
            cell(&remarks)
        )
    }

    fn remarks(&self) -> String {
        let mut remarks: Vec<&str> = Vec::new();
        if self.loses_data {
            remarks.push("CANNOT BE UNDONE");
        }
        if self.known_after_apply {
            remarks.push("known after apply");
        }
        if !self.reason.is_empty() {
            remarks.push(&self.reason);
        }
        remarks.join("; ")
    }
}

impl Plan {
    /// Counts the changes by operation.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = BTreeMap::new();
        for change in &self.changes {
            *counts.entry(change.operation).or_default() += 1;
        }
        Counts(counts)
    }

    /// Renders the plan for a terminal, without a newline at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("Plan for {}: {}", self.subject, self.counts());
        for (part, changes) in self.parts() {
            let indent = if part.is_empty() {
                "  "
            } else {
                let _ = write!(text, "\n  {part}");
                "    "
            };
            for change in changes {
                let _ = write!(text, "\n{indent}{}", change.line());
            }
        }
        let _ = write!(text, "\nPlan digest: {}", self.digest());
        text
    }

    /// Renders the plan as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("### Plan for `{}`: {}\n", self.subject, self.counts());
        for (part, changes) in self.parts() {
            let folded = changes.len() > UNFOLDED_ROWS;
            text.push('\n');
            if folded {
                let title = if part.is_empty() { "Changes" } else { part };
                let _ = writeln!(
                    text,
                    "<details><summary>{title}: {} changes</summary>\n",
                    changes.len()
                );
            } else if !part.is_empty() {
                let _ = writeln!(text, "**{part}**\n");
            }
            text.push_str("| | target | kind | why |\n|---|---|---|---|\n");
            for change in changes {
                let _ = writeln!(
                    text,
                    "| {} {} | {} | {} | {} |",
                    change.operation.sign(),
                    change.operation,
                    cell(&change.target),
                    cell(&change.kind),
                    cell(&change.remarks())
                );
            }
            if folded {
                text.push_str("\n</details>\n");
            }
        }
        let _ = writeln!(text, "\nPlan digest: `{}`", self.digest());
        text
    }

    /// Renders the plan as Markdown that fits into `room` bytes. When not all of it does, what is
    /// lost comes first and what is deleted or replaced second; `rest` says where the others stand.
    #[must_use]
    pub fn to_markdown_within(&self, room: usize, rest: &str) -> String {
        let whole = self.to_markdown();
        if whole.len() <= room {
            return whole;
        }
        let start = format!(
            "### Plan for `{}`: {}\n\n| | target | kind | part | why |\n|---|---|---|---|---|\n",
            self.subject,
            self.counts()
        );
        let end = |left: usize| {
            format!(
                "\n{left} more changes have no room here: {rest}\n\nPlan digest: `{}`\n",
                self.digest()
            )
        };
        let mut changes: Vec<&Change> = self.changes.iter().collect();
        changes.sort_by_key(|change| change.gravity());
        let mut text = start;
        let mut left = changes.len();
        for change in changes {
            let row = change.short_row();
            if text.len() + row.len() + end(left).len() > room {
                break;
            }
            text.push_str(&row);
            left -= 1;
        }
        text + &end(left)
    }

    /// Groups neighbouring changes of one part.
    fn parts(&self) -> impl Iterator<Item = (&str, &[Change])> {
        self.changes
            .chunk_by(|a, b| a.part == b.part)
            .filter_map(|changes| Some((changes.first()?.part.as_str(), changes)))
    }
}

/// Keeps a text inside one cell of a table.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace(['\n', '\r'], " ")
}
