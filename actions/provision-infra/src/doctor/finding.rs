//! Findings: what was looked at, what was found, and what to do. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use crate::answer::Unknown;
use crate::drift::escaped;

/// How bad a finding is; the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// An apply would fail, or leave an environment that does not work.
    Error,
    /// It goes well now, and will not when the environment grows or time goes by.
    Warning,
    /// Nobody looked.
    NotChecked,
    /// All is well.
    Ok,
}

impl Severity {
    /// Every severity, with the word that people read.
    const WORDS: [(Self, &str); 4] = [
        (Self::Error, "error"),
        (Self::Warning, "warning"),
        (Self::NotChecked, "not checked"),
        (Self::Ok, "ok"),
    ];

    fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(one, _)| *one == self);
        found.map_or("", |(_, word)| word)
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What sort of thing was looked at: `zone`, `quota`, `add-on`.
    pub check: &'static str,
    /// What was looked at.
    pub subject: String,
    /// What was found.
    pub value: String,
    /// What it is measured by.
    pub limit: String,
    /// What to do; empty when all is well.
    pub hint: String,
}

impl Finding {
    /// Starts a finding that all is well.
    #[must_use]
    pub fn ok(check: &'static str, subject: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            severity: Severity::Ok,
            check,
            subject: subject.into(),
            value: value.into(),
            limit: String::new(),
            hint: String::new(),
        }
    }

    /// Says what it is measured by.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<String>) -> Self {
        self.limit = limit.into();
        self
    }

    /// Says that it is not well, and what to do.
    #[must_use]
    pub fn but(mut self, severity: Severity, hint: impl Into<String>) -> Self {
        self.severity = severity;
        self.hint = hint.into();
        self
    }

    /// Says that nobody knows.
    #[must_use]
    pub fn unknown(check: &'static str, subject: impl Into<String>, unknown: &Unknown) -> Self {
        let Unknown { action, source } = unknown;
        let hint = if unknown.is_denied() {
            format!("allow `{action}`, as the plan role of the bootstrap layer does")
        } else {
            "correct what the answer names, and run again".into()
        };
        Self::ok(check, subject, format!("{action}: {source}")).but(Severity::NotChecked, hint)
    }
}

/// Counts the findings of a severity.
#[must_use]
pub fn count(findings: &[Finding], severity: Severity) -> usize {
    let same = |finding: &&Finding| finding.severity == severity;
    findings.iter().filter(same).count()
}

/// Says how many findings there are of each severity.
fn summary(findings: &[Finding]) -> String {
    let counts = Severity::WORDS.map(|(severity, word)| {
        let count = count(findings, severity);
        let plural = matches!(severity, Severity::Error | Severity::Warning) && count != 1;
        format!("{count} {word}{}", if plural { "s" } else { "" })
    });
    counts.join(", ")
}

/// A longer text does not widen its column for the others, in characters.
const WIDEST: usize = 48;

/// Renders findings as a table for a terminal, without a newline at the end.
#[must_use]
pub fn to_text(name: &str, findings: &[Finding]) -> String {
    let rows: Vec<[&str; 5]> = findings.iter().map(row).collect();
    let widths: [usize; 4] = std::array::from_fn(|column| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        let usual = lengths.filter(|length| *length <= WIDEST);
        usual.max().unwrap_or_default()
    });
    let mut text = format!("Checks of {name}: {}", summary(findings));
    for (row, finding) in rows.iter().zip(findings) {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, " {cell:width$} ");
        }
        let _ = write!(text, "\n{}", format!("{line} {}", row[4]).trim_end());
        if !finding.hint.is_empty() {
            let _ = write!(text, "\n      hint: {}", finding.hint);
        }
    }
    text
}

fn row(finding: &Finding) -> [&str; 5] {
    [
        finding.severity.word(),
        finding.check,
        &finding.subject,
        &finding.value,
        &finding.limit,
    ]
}

/// Renders findings as Markdown: what is not well, and folded away what is.
#[must_use]
pub fn to_markdown(name: &str, findings: &[Finding]) -> String {
    let mut text = format!("### Checks of `{name}`: {}\n", summary(findings));
    let (well, open): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|finding| finding.severity == Severity::Ok);
    if !open.is_empty() {
        text.push_str(
            "\n| | check | what | found | limit | what to do |\n|---|---|---|---|---|---|\n",
        );
    }
    for finding in open {
        let cells = row(finding).map(escaped);
        let _ = writeln!(
            text,
            "| **{}** | {} |",
            cells[0],
            [&cells[1..], &[escaped(&finding.hint)]]
                .concat()
                .join(" | ")
        );
    }
    if !well.is_empty() {
        text.push_str("\n<details><summary>ok</summary>\n\n| check | what | found | limit |\n|---|---|---|---|\n");
        for finding in well {
            let _ = writeln!(text, "| {} |", row(finding).map(escaped)[1..].join(" | "));
        }
        text.push_str("\n</details>\n");
    }
    text
}
