//! Plans: shown, saved, and compared with the one that was reviewed.

use std::fmt::Write as _;

use action_kit::{Outcome, Report};
use plan::Plan;

use crate::error::DeployError;
use crate::observe::observe;
use crate::plan::{Observed, differences};
use crate::session::Session;

/// A comment and a summary have limits: longer differences stand in the report only.
const LONGEST_DIFFERENCE: usize = 20_000;

/// Makes the plan from what was observed.
pub(crate) fn make(session: &Session, observed: &Observed) -> Plan {
    crate::plan::plan(
        &session.namespace,
        &session.inputs.release,
        observed,
        jiff::Timestamp::now().to_string(),
    )
}

/// Shows what `apply` would do.
pub(crate) async fn show(session: &Session) -> Result<Report, DeployError> {
    let wanted = session.wanted()?;
    let observed = observe(
        session.cluster(),
        &session.helm,
        &wanted,
        session.namespace.as_str(),
    )
    .await?;
    let plan = make(session, &observed);
    if let Some(file) = &session.inputs.plan_file {
        let path = session.context.path(file);
        let folder = path.parent().map_or(Ok(()), fs_err::create_dir_all);
        folder
            .and_then(|()| fs_err::write(&path, format!("{}\n", plan.to_json())))
            .map_err(DeployError::PlanFile)?;
    }
    let outcome = if plan.is_empty() {
        Outcome::Unchanged
    } else {
        Outcome::Planned
    };
    print_differences(session, &observed);
    let report = session.report(outcome, observed.deployed());
    let report = describe(report, &plan, &observed).line(plan.to_text());
    let place = session.inputs.cluster.as_deref();
    let comment = &session.inputs.pull_request;
    Ok(comment.show(&session.context, &plan, place, report).await)
}

/// Refuses when a plan was reviewed and this is another.
pub(crate) fn check(session: &Session, plan: &Plan) -> Result<(), DeployError> {
    let inputs = &session.inputs;
    if let Some(file) = &inputs.plan_file {
        let path = session.context.path(file);
        let text = fs_err::read_to_string(&path).map_err(DeployError::PlanFile)?;
        let reviewed = Plan::parse(&text).map_err(|source| DeployError::Plan {
            file: file.clone(),
            source,
        })?;
        let differences = plan.differences(&reviewed);
        if !differences.is_empty() {
            return Err(DeployError::PlanChanged { differences });
        }
    }
    let digest = plan.digest();
    match &inputs.plan_digest {
        Some(reviewed) if *reviewed != digest => Err(DeployError::PlanChanged {
            differences: vec![format!("its digest is {digest}, reviewed was {reviewed}")],
        }),
        _ => Ok(()),
    }
}

/// Says whether the inputs name a reviewed plan.
pub(crate) fn is_reviewed(session: &Session) -> bool {
    session.inputs.plan_file.is_some() || session.inputs.plan_digest.is_some()
}

/// Puts the plan into a report.
pub(crate) fn describe(report: Report, plan: &Plan, observed: &Observed) -> Report {
    let differences = differences(observed);
    let mut markdown = plan.to_markdown();
    let mut text = String::new();
    for (object, difference) in &differences {
        let _ = writeln!(text, "# {object}\n{}", difference.trim_end());
    }
    if !text.is_empty() && text.len() <= LONGEST_DIFFERENCE {
        let _ = write!(
            markdown,
            "\n<details><summary>What differs</summary>\n\n```diff\n{text}```\n\n</details>\n"
        );
    }
    report
        .output("plan-digest", plan.digest().to_string())
        .field("plan", plan)
        .field(
            "differences",
            differences
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>(),
        )
        .markdown(markdown)
}

fn print_differences(session: &Session, observed: &Observed) {
    // A first installation differs in everything: the list of changes says it all.
    if observed.live.is_none() {
        return;
    }
    for (object, difference) in differences(observed) {
        let _group = session.context.console.group(&object);
        for line in difference.lines() {
            session.context.console.line(line);
        }
    }
}
