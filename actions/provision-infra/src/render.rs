//! What a run reports.

use action_kit::{Outcome, Report};
use plan::Plan;
use serde_json::{Value, json};

use crate::leftovers::Holding;
use crate::stack::Stack;
use crate::usual;

/// Gives the time for a plan's `created`.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Gives the cluster's name, when a stack has one.
pub(crate) fn cluster(stacks: &[Stack]) -> Option<&str> {
    stacks
        .iter()
        .find_map(|stack| stack.outputs.get("ClusterName"))
        .map(String::as_str)
}

/// Gives the stacks' outputs by stack.
pub(crate) fn outputs_json(stacks: &[Stack]) -> Value {
    stacks
        .iter()
        .map(|stack| (stack.name.clone(), json!(stack.outputs)))
        .collect()
}

/// Says how long a plan usually takes.
pub(crate) fn usually(plan: &Plan) -> String {
    match usual::minutes_of(plan) {
        0 => String::new(),
        minutes => format!("Usually takes about {minutes} min."),
    }
}

/// Says what to give for a destruction to be carried out.
pub(crate) fn confirmation(name: &str, holdings: &[Holding]) -> String {
    if holdings.is_empty() {
        return format!("confirm-destroy: {name}");
    }
    let lines = std::iter::once(name).chain(holdings.iter().map(|holding| &*holding.name));
    let lines: Vec<String> = lines.map(|line| format!("\n  {line}")).collect();
    format!("confirm-destroy: |{}", lines.concat())
}

/// Starts the report of a plan, carried out or not.
pub(crate) fn report(outcome: Outcome, plan: &Plan, stacks: &[Stack]) -> Report {
    let mut report = Report::new(outcome)
        .output("plan-digest", plan.digest().to_string())
        .output("changes", plan.changes.len().to_string())
        .field("plan", plan)
        .field("usual-minutes", usual::minutes_of(plan))
        .markdown(plan.to_markdown())
        .markdown(format!("\n{}", usually(plan)));
    if !stacks.is_empty() {
        report = report.output("stacks", outputs_json(stacks).to_string());
    }
    if let Some(cluster) = cluster(stacks) {
        report = report.output("cluster", cluster);
    }
    report
}
