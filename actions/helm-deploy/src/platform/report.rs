//! What is reported of several releases.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use action_kit::{Failed, Outcome, Report};
use plan::Plan;
use serde_json::{Value, json};

use super::Run;
use super::order::Ended;
use super::planned::Planned;
use crate::review::{describe, remarks};

/// Reports plans.
pub(crate) fn planned(planned: &[Planned], plan: &Plan) -> Report {
    let mut rows = Vec::new();
    let mut markdown = plan.to_markdown();
    for one in planned {
        let outcome = if one.plan.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Planned
        };
        let warnings = [one.broken.as_slice(), &one.tried].concat();
        let report = one.session.report(outcome, one.observed.deployed());
        let report = describe(report, &one.plan, &one.observed, &warnings);
        rows.push(report.field("known-after-apply", one.early).json());
        let remarks = remarks(&one.observed, &warnings);
        if !remarks.is_empty() {
            let _ = write!(markdown, "\n**{}**\n{remarks}", one.session.release);
        }
    }
    let outcome = if plan.is_empty() {
        Outcome::Unchanged
    } else {
        Outcome::Planned
    };
    let report = with_rows(Report::new(outcome), rows);
    with_plan(report, plan)
        .markdown(markdown)
        .line(plan.to_text())
}

/// Reports what became of a plan.
pub(crate) fn applied(run: &Run, plan: &Plan, ended: &[Ended<Report, Failed>]) -> Report {
    let done = |one: &Ended<Report, Failed>| matches!(one, Ended::Done(report) if report.outcome() == Outcome::Done);
    let outcome = if ended.iter().any(done) {
        Outcome::Done
    } else {
        Outcome::Unchanged
    };
    with_plan(all(run, outcome, ended), plan).markdown(plan.to_markdown())
}

/// Reports how each release ended.
pub(crate) fn all(run: &Run, outcome: Outcome, ended: &[Ended<Report, Failed>]) -> Report {
    let releases = &run.platform.releases;
    let mut rows = Vec::new();
    let mut markdown = format!(
        "### Platform `{}`\n\n| release | namespace | outcome | revision | |\n|---|---|---|---|---|\n",
        run.platform.subject()
    );
    for (release, ended) in releases.iter().zip(ended) {
        let (mut row, remark) = match ended {
            Ended::Done(report) => (report.json(), String::new()),
            Ended::Failed(failed) => (
                json!({
                    "outcome": Outcome::Failed,
                    "failure-reason": failed.reason(),
                    "error": failed.chain(),
                    "hints": failed.hints(),
                }),
                failed.chain().join(": "),
            ),
            Ended::Skipped(need) => {
                let need = &releases[*need].name;
                (
                    json!({"outcome": "skipped", "needs": need}),
                    format!("it needs `{need}`"),
                )
            }
        };
        row["release"] = json!(release.name);
        row["namespace"] = json!(release.namespace);
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let _ = writeln!(
            markdown,
            "| {} | {} | {} | {} | {} |",
            release.name,
            release.namespace,
            text("outcome"),
            text("revision"),
            remark.replace('|', "\\|").replace('\n', " ")
        );
        rows.push(row);
    }
    markdown.push('\n');
    let done = ended.iter().filter_map(|one| match one {
        Ended::Done(report) => Some(report),
        _ => None,
    });
    let lines = done.flat_map(Report::lines);
    let report = with_rows(Report::new(outcome), rows).markdown(markdown);
    lines.fold(report, Report::line)
}

fn with_rows(report: Report, rows: Vec<Value>) -> Report {
    let outcomes: BTreeMap<&str, &Value> = rows
        .iter()
        .filter_map(|row| Some((row["release"].as_str()?, &row["outcome"])))
        .collect();
    let outcomes = json!(outcomes).to_string();
    report.output("outcomes", outcomes).field("releases", rows)
}

fn with_plan(report: Report, plan: &Plan) -> Report {
    report
        .output("plan-digest", plan.digest().to_string())
        .field("plan", plan)
}
