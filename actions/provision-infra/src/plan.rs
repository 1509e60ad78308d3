//! From observations to a plan: every choice is made here, and nothing is read or written.

use plan::{Change, Digest, Operation, Plan};
use serde_json::json;

use crate::conditions::is_there;
use crate::leftovers::{self, Holding, Leftover};
use crate::observe::{Observed, Offer};
use crate::stack::{
    Condition, Detail, Resource, ResourceChange, STACK_TYPE, Stack, Values, is_lost, is_protected,
};

/// CloudFormation's own word for a value that does not exist yet.
const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";
/// Longer values are not shown.
const LONGEST_VALUE: usize = 60;

/// Plans an environment. The stacks that no setting asks for any more go first: they stand on the
/// others.
#[must_use]
pub fn plan(
    name: &str,
    dropped: &[Doomed],
    observations: &[Observed],
    tags: &Values,
    created: &str,
) -> Plan {
    let gone = dropped
        .iter()
        .flat_map(|one| one.changes("no setting asks for it any more"));
    let changes = gone
        .chain(observations.iter().flat_map(layer_changes))
        .collect();
    let mut observed = json!({
        "tags": tags,
        "layers": observations.iter().map(facts).collect::<Vec<_>>(),
    });
    if !dropped.is_empty() {
        observed["dropped"] = dropped.iter().map(Doomed::facts).collect();
    }
    Plan::new(
        "provision-infra",
        name,
        Digest::of_json(&observed),
        changes,
        created,
    )
}

/// What the digest of the plan stands for: the stack as it is, the template and the parameters.
fn facts(observed: &Observed) -> serde_json::Value {
    let found = observed
        .found
        .as_ref()
        .filter(|stack| stack.condition() != Condition::Unborn)
        .map(|stack| json!({"id": stack.id, "status": stack.status, "changed": stack.changed}));
    json!({
        "stack": observed.layer.stack,
        "template": observed.layer.template.digest(),
        "parameters": observed.parameters,
        "unknown": observed.unknown,
        "found": found,
    })
}

fn layer_changes(observed: &Observed) -> Vec<Change> {
    let stack = &observed.layer.stack;
    let mut changes: Vec<Change> = recovery(observed).into_iter().collect();
    match &observed.offer {
        Offer::Changes(change_set) => {
            changes.extend(resource_changes(stack, &change_set.changes));
        }
        Offer::Unchanged => {}
        Offer::Later if observed.condition() == Condition::Stuck => {}
        Offer::Later if observed.condition() == Condition::Ready => changes.push(Change {
            known_after_apply: true,
            ..Change::new(Operation::Update, STACK_TYPE, stack)
                .part(stack)
                .reason(format!("depends on {}", observed.unknown.join(", ")))
        }),
        Offer::Later => {
            changes.extend(expected(observed).map(|resource| Change {
                known_after_apply: true,
                ..Change::new(Operation::Create, &resource.kind, &resource.logical_id).part(stack)
            }));
        }
    }
    changes
}

/// Gives what a stack that is still to be made will hold: all of its template but what no condition
/// asks for.
pub(crate) fn expected(observed: &Observed) -> impl Iterator<Item = &Resource> {
    let template = &observed.layer.template;
    template.resources.iter().filter(|resource| {
        is_there(
            template,
            &resource.logical_id,
            &observed.parameters,
            &observed.unknown,
        )
    })
}

/// What must be done to the stack itself.
fn recovery(observed: &Observed) -> Option<Change> {
    let stack = observed.found.as_ref()?;
    let change = |operation| Change::new(operation, STACK_TYPE, &stack.name).part(&stack.name);
    match stack.condition() {
        Condition::Broken => Some(Change {
            loses_data: observed
                .remains
                .iter()
                .any(|resource| is_lost(&resource.kind, &resource.deletion_policy)),
            ..change(Operation::Delete).reason(format!(
                "it is {}, which can only be deleted and made again",
                stack.status
            ))
        }),
        Condition::Stuck => Some(
            change(Operation::Run).reason(format!("continue the rollback: it is {}", stack.status)),
        ),
        Condition::Ready if !stack.protected => {
            Some(change(Operation::Update).reason("turn termination protection on"))
        }
        _ => None,
    }
}

/// Turns what a change set offers into changes, sorted by name.
#[must_use]
pub fn resource_changes(stack: &str, offered: &[ResourceChange]) -> Vec<Change> {
    if offered.is_empty() {
        return vec![
            Change::new(Operation::Update, STACK_TYPE, stack)
                .part(stack)
                .reason("no resource changes: outputs, tags or the template's metadata"),
        ];
    }
    let mut changes: Vec<Change> = offered
        .iter()
        .map(|offered| resource_change(offered).part(stack))
        .collect();
    changes.sort_by(|a, b| a.target.cmp(&b.target));
    changes
}

fn resource_change(offered: &ResourceChange) -> Change {
    let operation = match (offered.action.as_str(), offered.replacement.as_str()) {
        ("Add" | "Import", _) => Operation::Create,
        ("Remove", _) => Operation::Delete,
        (_, "True" | "Conditional") => Operation::Replace,
        _ => Operation::Update,
    };
    let goes = matches!(operation, Operation::Delete | Operation::Replace);
    let mut details: Vec<&Detail> = offered.details.iter().collect();
    // What the resource is replaced for comes first, and is said to be it.
    details.sort_by_key(|detail| !detail.replaces);
    let mut remarks: Vec<String> = details.into_iter().filter_map(detail).collect();
    if offered.replacement == "Conditional" {
        remarks.push("replaced only if a value that is not known yet differs".into());
    }
    if goes && offered.policy.contains("Retain") {
        remarks.push("the old one is retained".into());
    }
    if goes && offered.policy.contains("Snapshot") {
        remarks.push("a snapshot of the old one is kept".into());
    }
    Change {
        loses_data: goes && is_lost(&offered.kind, &offered.policy),
        known_after_apply: offered.action == "Dynamic",
        ..Change::new(operation, &offered.kind, &offered.logical_id).reason(remarks.join("; "))
    }
}

fn detail(detail: &Detail) -> Option<String> {
    if detail.name.is_empty() {
        return None;
    }
    let after = detail
        .after
        .as_ref()
        .map(|after| after.replace(UNKNOWN, "known after apply"));
    let name = if detail.replaces {
        format!("because of {}", detail.name)
    } else {
        detail.name.clone()
    };
    Some(match (&detail.before, &after) {
        (Some(before), Some(after))
            if before.len() <= LONGEST_VALUE && after.len() <= LONGEST_VALUE =>
        {
            format!("{name}: {before} → {after}")
        }
        _ => name,
    })
}

/// Says what of `changes` was not in the reviewed plan. A change that the review knew only as
/// *known after apply* is compared by what is done and to what.
#[must_use]
pub fn beyond(changes: &[Change], reviewed: &Plan) -> Vec<String> {
    let was_reviewed = |change: &&Change| {
        reviewed.changes.iter().any(|known| {
            known.operation == change.operation
                && known.part == change.part
                && known.target == change.target
                && known.kind == change.kind
                && (known.known_after_apply || known.reason == change.reason)
        })
    };
    changes
        .iter()
        .filter(|change| !was_reviewed(change))
        .map(Change::line)
        .collect()
}

/// Names what would be lost, or is protected and would be replaced or deleted, and may not be.
#[must_use]
pub fn protected(changes: &[Change], allowed: &[String]) -> Vec<String> {
    let goes = |change: &Change| matches!(change.operation, Operation::Delete | Operation::Replace);
    changes
        .iter()
        .filter(|change| change.loses_data || (goes(change) && is_protected(&change.kind)))
        .filter(|change| !allowed.contains(&change.target))
        .map(|change| change.target.clone())
        .collect()
}

/// A stack that is to be destroyed, and what it holds.
#[derive(Clone, Debug)]
pub struct Doomed {
    /// The stack.
    pub stack: Stack,
    /// Its resources, with the policies of the template that it was made from.
    pub resources: Vec<Resource>,
    /// Whether the cluster stands on it, and what the cluster leaves behind may use it.
    pub below_cluster: bool,
    /// The bucket of backups, when there are some in it.
    pub backups: Option<String>,
}

impl Doomed {
    fn facts(&self) -> serde_json::Value {
        json!({"id": self.stack.id, "changed": self.stack.changed})
    }

    fn changes(&self, why: &str) -> Vec<Change> {
        let stack = &self.stack.name;
        let mut resources = self.resources.clone();
        resources.sort_by(|a, b| a.logical_id.cmp(&b.logical_id));
        let changes = resources.iter().map(|resource| Change {
            loses_data: is_lost(&resource.kind, &resource.deletion_policy),
            ..Change::new(Operation::Delete, &resource.kind, &resource.logical_id)
                .part(stack)
                .reason(self.retained(resource))
        });
        let itself = Change::new(Operation::Delete, STACK_TYPE, stack)
            .part(stack)
            .reason(why);
        changes.chain([itself]).collect()
    }

    fn retained(&self, resource: &Resource) -> String {
        let stays = "leaves the stack, stays in the account";
        match &self.backups {
            _ if !resource.deletion_policy.starts_with("Retain") => String::new(),
            Some(bucket) if *bucket == resource.physical_id => {
                format!("{stays} with the backups in it: {bucket}")
            }
            _ => stays.into(),
        }
    }
}

/// Plans the destruction of stacks, given in the order in which they go, and of what the cluster
/// leaves behind: when the controllers that would make it again are gone, and before the network
/// that it is in.
#[must_use]
pub fn destruction(name: &str, doomed: &[Doomed], leftovers: &[Leftover], created: &str) -> Plan {
    let (above, below) = around_leftovers(doomed);
    let observed: Vec<_> = doomed.iter().map(Doomed::facts).collect();
    let changes_of = |stacks: &[Doomed]| -> Vec<Change> {
        let changes = stacks
            .iter()
            .flat_map(|one| one.changes("the stack itself"));
        changes.collect()
    };
    let mut changes = changes_of(above);
    changes.extend(leftovers::changes(leftovers));
    changes.extend(changes_of(below));
    Plan::new(
        "provision-infra destroy",
        name,
        Digest::of_json(&observed),
        changes,
        created,
    )
}

/// Divides stacks into those that go before what the cluster leaves behind, and the others.
#[must_use]
pub fn around_leftovers(doomed: &[Doomed]) -> (&[Doomed], &[Doomed]) {
    let first_below = doomed.iter().position(|one| one.below_cluster);
    doomed.split_at(first_below.unwrap_or(doomed.len()))
}

/// Lists what holds data and is not named.
#[must_use]
pub fn unnamed(doomed: &[Doomed], leftovers: &[Leftover], named: &[String]) -> Vec<Holding> {
    let backups = doomed.iter().filter_map(|one| one.backups.as_ref());
    let backups = backups.map(|bucket| Holding {
        name: bucket.clone(),
        data: "backups, which stay with it and belong to no stack any more".into(),
    });
    leftovers::holdings(leftovers)
        .chain(backups)
        .filter(|holding| !named.contains(&holding.name))
        .collect()
}
