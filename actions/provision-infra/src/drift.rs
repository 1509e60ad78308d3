//! What was changed beside CloudFormation, by hand or by other programs.
//!
//! CloudFormation compares what a template says with what is there, for the types that it can
//! read. What it does not check is told as well: silence about it would pass for agreement.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cloudformation::CloudFormation;
use crate::error::InfraError;
use crate::stack::{Condition, Resource, Stack};
use crate::watch::Deadline;

/// Longer values are cut in what people read.
const LONGEST_VALUE: usize = 120;
/// Why a type is not checked when CloudFormation says nothing.
const UNCHECKED: &str = "CloudFormation does not look for drift in this type";

/// What was found in one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackDrift {
    /// The stack.
    pub stack: String,
    /// Its resources, by name.
    pub findings: Vec<Finding>,
}

/// What was found about a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name in the template.
    pub logical_id: String,
    /// Its own id.
    pub physical_id: String,
    /// The type.
    pub kind: String,
    /// How it is.
    #[serde(flatten)]
    pub state: Resting,
}

/// How a resource is, beside what its template says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "detail", rename_all = "kebab-case")]
pub enum Resting {
    /// As it should be.
    InSync,
    /// Other than it should be.
    Changed(Vec<Difference>),
    /// It is no longer there.
    Deleted,
    /// Nobody looked, and why.
    Unchecked(String),
}

/// A property that is not what the template says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where in the properties.
    pub property: String,
    /// What the template says.
    pub expected: String,
    /// What is there.
    pub actual: String,
}

/// Looks for drift in stacks, all at once.
pub async fn detect(
    cloudformation: &CloudFormation,
    deadline: &Deadline,
    stacks: &[Stack],
) -> Result<Vec<StackDrift>, InfraError> {
    let mut detections = Vec::new();
    for stack in stacks {
        detections.push(match stack.condition() {
            Condition::Ready | Condition::Stuck => {
                Some(cloudformation.detect_drift(&stack.name).await?)
            }
            Condition::Busy => {
                return Err(InfraError::Busy {
                    stack: stack.name.clone(),
                    status: stack.status.clone(),
                });
            }
            Condition::Absent | Condition::Unborn | Condition::Broken => None,
        });
    }
    let mut drifts = Vec::new();
    for (stack, detection) in stacks.iter().zip(detections) {
        let resources = cloudformation.resources(&stack.name).await?;
        let (found, problem) = match detection {
            Some(detection) => {
                let problem = cloudformation
                    .detected(&stack.name, &detection, deadline)
                    .await?;
                (cloudformation.drifts(&stack.name).await?, problem)
            }
            None => (Vec::new(), Some(format!("the stack is {}", stack.status))),
        };
        drifts.push(complete(&stack.name, found, &resources, problem.as_deref()));
    }
    Ok(drifts)
}

/// Adds the resources that nothing was found out about.
#[must_use]
pub fn complete(
    stack: &str,
    mut findings: Vec<Finding>,
    resources: &[Resource],
    problem: Option<&str>,
) -> StackDrift {
    for finding in &mut findings {
        if let Resting::Unchecked(why) = &mut finding.state
            && why.is_empty()
        {
            UNCHECKED.clone_into(why);
        }
    }
    for resource in resources {
        let known = |finding: &Finding| finding.logical_id == resource.logical_id;
        if !findings.iter().any(known) {
            findings.push(Finding {
                logical_id: resource.logical_id.clone(),
                physical_id: String::new(),
                kind: resource.kind.clone(),
                state: Resting::Unchecked(problem.unwrap_or(UNCHECKED).into()),
            });
        }
    }
    findings.sort_by(|a, b| a.logical_id.cmp(&b.logical_id));
    StackDrift {
        stack: stack.into(),
        findings,
    }
}

impl Finding {
    /// Says whether the resource is not what it should be.
    #[must_use]
    pub fn is_drifted(&self) -> bool {
        matches!(self.state, Resting::Changed(_) | Resting::Deleted)
    }
}

/// Counts the resources that are not what they should be.
#[must_use]
pub fn count(drifts: &[StackDrift]) -> usize {
    findings(drifts)
        .filter(|finding| finding.is_drifted())
        .count()
}

fn findings(drifts: &[StackDrift]) -> impl Iterator<Item = &Finding> {
    drifts.iter().flat_map(|drift| &drift.findings)
}

fn summary(drifts: &[StackDrift]) -> String {
    let of = |wanted: fn(&Resting) -> bool| {
        findings(drifts)
            .filter(|finding| wanted(&finding.state))
            .count()
    };
    format!(
        "{} changed, {} deleted, {} as they should be, {} not checked",
        of(|state| matches!(state, Resting::Changed(_))),
        of(|state| matches!(state, Resting::Deleted)),
        of(|state| matches!(state, Resting::InSync)),
        of(|state| matches!(state, Resting::Unchecked(_))),
    )
}

/// Renders drift for a terminal, without a newline at the end.
#[must_use]
pub fn to_text(name: &str, drifts: &[StackDrift]) -> String {
    let mut text = format!("Drift of {name}: {}", summary(drifts));
    for drift in drifts {
        let drifted: Vec<&Finding> = drift
            .findings
            .iter()
            .filter(|one| one.is_drifted())
            .collect();
        if !drifted.is_empty() {
            let _ = write!(text, "\n  {}", drift.stack);
        }
        for finding in drifted {
            let Finding {
                logical_id, kind, ..
            } = finding;
            match &finding.state {
                Resting::Changed(differences) => {
                    for one in differences {
                        let _ = write!(text, "\n    ~ {logical_id} ({kind}): {}", line(one));
                    }
                }
                _ => {
                    let _ = write!(text, "\n    - {logical_id} ({kind}): deleted");
                }
            }
        }
    }
    text
}

fn line(difference: &Difference) -> String {
    format!(
        "{}: {} → {}",
        difference.property,
        short(&difference.expected),
        short(&difference.actual)
    )
}

/// Renders drift as Markdown.
#[must_use]
pub fn to_markdown(name: &str, drifts: &[StackDrift]) -> String {
    let mut text = format!("### Drift of `{name}`: {}\n", summary(drifts));
    for drift in drifts
        .iter()
        .filter(|drift| drift.findings.iter().any(Finding::is_drifted))
    {
        let _ = writeln!(
            text,
            "\n**{}**\n\n| resource | kind | property | expected | actual |\n|---|---|---|---|---|",
            drift.stack
        );
        for finding in drift.findings.iter().filter(|one| one.is_drifted()) {
            let start = format!("| {} | {} |", finding.logical_id, finding.kind);
            let Resting::Changed(differences) = &finding.state else {
                let _ = writeln!(text, "{start} | there | **deleted** |");
                continue;
            };
            for one in differences {
                let (expected, actual) = (cell(&one.expected), cell(&one.actual));
                let _ = writeln!(
                    text,
                    "{start} {} | {expected} | {actual} |",
                    cell(&one.property)
                );
            }
        }
    }
    let mut unchecked: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in findings(drifts) {
        if let Resting::Unchecked(why) = &finding.state {
            *unchecked.entry((&finding.kind, why)).or_default() += 1;
        }
    }
    if !unchecked.is_empty() {
        text.push_str(
            "\n<details><summary>not checked</summary>\n\n| kind | | why |\n|---|---|---|\n",
        );
        for ((kind, why), count) in unchecked {
            let _ = writeln!(text, "| {kind} | {count} | {} |", cell(why));
        }
        text.push_str("\n</details>\n");
    }
    text
}

fn short(value: &str) -> String {
    match value.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.into(),
    }
}

/// Keeps a value inside one cell of a table, and cuts it.
fn cell(value: &str) -> String {
    escaped(&short(value))
}

/// Keeps a text inside one cell of a table.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace(['\n', '\r'], " ")
}
