//! Plans: shown, saved, and compared with the one that was reviewed.

use std::fmt::Write as _;

use action_kit::{Context, Failed, Outcome, Report};
use plan::Plan;

use crate::error::DeployError;
use crate::foresee::{Warning, foresee};
use crate::inputs::{Inputs, Policy};
use crate::observe::{attempts, observe};
use crate::plan::{Observed, differences};
use crate::pods::policy;
use crate::session::Session;
use crate::steps;

/// A comment and a summary have limits: longer differences stand in the report only.
const LONGEST_DIFFERENCE: usize = 20_000;

/// Makes the plan from what was observed.
pub(crate) fn make(session: &Session, observed: &Observed) -> Plan {
    crate::plan::plan(
        &session.namespace,
        &session.release,
        observed,
        jiff::Timestamp::now().to_string(),
    )
}

/// Shows what `apply` would do.
pub(crate) async fn show(session: &Session) -> Result<Report, Failed> {
    let wanted = session.wanted()?;
    let mut observed = observe(session, &wanted, false).await?;
    steps::wanted(session, &observed)?;
    let plan = make(session, &observed);
    save(&session.inputs, &session.context, &plan)?;
    let outcome = if plan.is_empty() {
        Outcome::Unchanged
    } else {
        Outcome::Planned
    };
    print_differences(&session.context, "", &observed);
    let mut warnings = broken_policy(session, &observed);
    let breaks = warnings.clone();
    if !plan.is_empty() {
        warnings.extend(tried(session, &mut observed).await?);
    }
    warn(&warnings);
    let report = session.report(outcome, observed.deployed());
    let report = describe(report, &plan, &observed, &warnings).line(plan.to_text());
    let place = session.inputs.cluster.as_deref();
    let comment = &session.inputs.pull_request;
    let report = comment.show(&session.context, &plan, place, report).await;
    match allowed(session, breaks) {
        Ok(()) => Ok(report),
        Err(error) => Err(Failed::from(error).with(report)),
    }
}

/// Writes the plan into the file that the inputs name.
pub(crate) fn save(inputs: &Inputs, context: &Context, plan: &Plan) -> Result<(), DeployError> {
    let Some(file) = &inputs.plan_file else {
        return Ok(());
    };
    let path = context.path(file);
    let folder = path.parent().map_or(Ok(()), fs_err::create_dir_all);
    folder
        .and_then(|()| fs_err::write(&path, format!("{}\n", plan.to_json())))
        .map_err(DeployError::PlanFile)
}

/// Finds what breaks the policy, unless nobody wants to know.
pub(crate) fn broken_policy(session: &Session, observed: &Observed) -> Vec<Warning> {
    match session.inputs.policy {
        Policy::Off => Vec::new(),
        Policy::Warn | Policy::Refuse => policy(observed),
    }
}

/// Refuses a release that breaks the policy, when that is wanted.
pub(crate) fn allowed(session: &Session, broken: Vec<Warning>) -> Result<(), DeployError> {
    if session.inputs.policy == Policy::Refuse && !broken.is_empty() {
        return Err(DeployError::Policy {
            release: session.release.to_string(),
            warnings: broken,
        });
    }
    Ok(())
}

/// Tries what the plan would apply, and tells what would come of it.
pub(crate) async fn tried(
    session: &Session,
    observed: &mut Observed,
) -> Result<Vec<Warning>, DeployError> {
    attempts(session.cluster(), observed, session.namespace.as_str()).await?;
    Ok(foresee(observed))
}

/// Refuses to begin what could not be ended.
pub(crate) fn possible(session: &Session, warnings: &[Warning]) -> Result<(), DeployError> {
    let stops: Vec<Warning> = warnings.iter().filter(|one| one.stops).cloned().collect();
    if stops.is_empty() {
        return Ok(());
    }
    Err(DeployError::Foreseen {
        release: session.release.to_string(),
        warnings: stops,
    })
}

/// Tells warnings where a workflow shows them.
pub(crate) fn warn(warnings: &[Warning]) {
    for warning in warnings {
        tracing::warn!("{warning}; {}", warning.hint);
    }
}

/// Refuses when a plan was reviewed and this is another.
pub(crate) fn check(inputs: &Inputs, context: &Context, plan: &Plan) -> Result<(), DeployError> {
    if let Some(file) = &inputs.plan_file {
        let path = context.path(file);
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
pub(crate) fn is_reviewed(inputs: &Inputs) -> bool {
    inputs.plan_file.is_some() || inputs.plan_digest.is_some()
}

/// Puts the plan into a report.
pub(crate) fn describe(
    report: Report,
    plan: &Plan,
    observed: &Observed,
    warnings: &[Warning],
) -> Report {
    let markdown = plan.to_markdown() + &remarks(observed, warnings);
    report
        .output("plan-digest", plan.digest().to_string())
        .field("plan", plan)
        .field("warnings", warnings)
        .field(
            "differences",
            differences(observed)
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>(),
        )
        .markdown(markdown)
}

/// Renders warnings and differences as Markdown.
pub(crate) fn remarks(observed: &Observed, warnings: &[Warning]) -> String {
    let mut markdown = String::new();
    for warning in warnings {
        let _ = write!(markdown, "\n> ⚠ {warning}<br>{}\n", warning.hint);
    }
    let mut text = String::new();
    for (object, difference) in differences(observed) {
        let _ = writeln!(text, "# {object}\n{}", difference.trim_end());
    }
    if !text.is_empty() && text.len() <= LONGEST_DIFFERENCE {
        let _ = write!(
            markdown,
            "\n<details><summary>What differs</summary>\n\n```diff\n{text}```\n\n</details>\n"
        );
    }
    markdown
}

/// Shows what differs, object by object, each after `beginning`.
pub(crate) fn print_differences(context: &Context, beginning: &str, observed: &Observed) {
    // A first installation differs in everything: the list of changes says it all.
    if observed.live.is_none() {
        return;
    }
    for (object, difference) in differences(observed) {
        let _group = context.console.group(&format!("{beginning}{object}"));
        for line in difference.lines() {
            context.console.line(line);
        }
    }
}
