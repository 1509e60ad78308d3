//! CloudFormation's words as values: stacks, change sets, events. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Parameters or outputs, by name.
pub type Values = BTreeMap<String, String>;

/// The type of a stack in events and plans.
pub const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// A stack that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// The unique id (the name may be used again).
    pub id: String,
    /// The name.
    pub name: String,
    /// The status, in CloudFormation's word.
    pub status: String,
    /// Why, when CloudFormation says so.
    pub reason: String,
    /// The outputs.
    pub outputs: Values,
    /// When it was last changed, or made.
    pub changed: String,
    /// Whether it is protected from deletion.
    pub protected: bool,
}

/// What a status means for the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is none.
    Absent,
    /// A change set was made for a stack that does not exist; there is nothing in it.
    Unborn,
    /// It can be changed.
    Ready,
    /// Something is changing it now.
    Busy,
    /// Its creation or deletion failed: it can only be deleted.
    Broken,
    /// A rollback failed: it must be continued before anything else.
    Stuck,
}

impl Condition {
    /// Reads a status.
    #[must_use]
    pub fn of(status: &str) -> Self {
        match status {
            "DELETE_COMPLETE" => Self::Absent,
            "REVIEW_IN_PROGRESS" => Self::Unborn,
            "CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => {
                Self::Broken
            }
            "UPDATE_ROLLBACK_FAILED" => Self::Stuck,
            status if status.ends_with("_IN_PROGRESS") => Self::Busy,
            _ => Self::Ready,
        }
    }
}

impl Stack {
    /// Says what the status means.
    #[must_use]
    pub fn condition(&self) -> Condition {
        Condition::of(&self.status)
    }
}

/// What a change set would do to one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceChange {
    /// The name in the template.
    pub logical_id: String,
    /// The type.
    pub kind: String,
    /// `Add`, `Modify`, `Remove`, `Import` or `Dynamic`.
    pub action: String,
    /// `True`, `False` or `Conditional`, for `Modify`.
    pub replacement: String,
    /// What happens to the old resource: `Delete`, `Retain`, `Snapshot` and their kin.
    pub policy: String,
    /// What about it changes.
    pub details: Vec<Detail>,
}

/// What about a resource changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The property or attribute.
    pub name: String,
    /// The value now, when CloudFormation tells.
    pub before: Option<String>,
    /// The value to come.
    pub after: Option<String>,
    /// Whether this is why the resource is replaced.
    pub replaces: bool,
}

/// A change set that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The unique id.
    pub id: String,
    /// The id of its stack.
    pub stack_id: String,
    /// What it would do.
    pub changes: Vec<ResourceChange>,
}

/// Compares the properties of a resource before and after, each `{"Properties": {…}}` as JSON.
#[must_use]
pub fn details_between(before: &str, after: &str) -> Vec<Detail> {
    let properties = |context: &str| -> BTreeMap<String, serde_json::Value> {
        serde_json::from_str::<serde_json::Value>(context)
            .ok()
            .and_then(|context| serde_json::from_value(context.get("Properties")?.clone()).ok())
            .unwrap_or_default()
    };
    let text = |value: &serde_json::Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), String::from)
    };
    let (before, after) = (properties(before), properties(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Detail {
            name: name.clone(),
            before: before.get(name).map(text),
            after: after.get(name).map(text),
            replaces: false,
        })
        .collect()
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The name in the template.
    pub logical_id: String,
    /// The resource's own id; empty while there is none.
    pub physical_id: String,
    /// The type.
    pub kind: String,
    /// What happens to it when the stack is deleted: `Delete`, `Retain`, `Snapshot`.
    pub deletion_policy: String,
}

/// Something that happened to a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The unique id.
    pub id: String,
    /// The resource's name in the template; the stack's name for the stack itself.
    pub logical_id: String,
    /// The resource's own id.
    pub physical_id: String,
    /// The type.
    pub kind: String,
    /// The status.
    pub status: String,
    /// Why.
    pub reason: String,
}

impl Event {
    /// Says whether the event is about the stack itself.
    #[must_use]
    pub fn is_of_stack(&self, stack_id: &str) -> bool {
        self.kind == STACK_TYPE && self.physical_id == stack_id
    }
}

/// Gives the last event of each resource that something is being done to, in the order of names.
#[must_use]
pub fn under_way(events: &[Event]) -> Vec<Event> {
    let resources = events.iter().filter(|event| event.kind != STACK_TYPE);
    let last: BTreeMap<&str, &Event> = resources.map(|event| (&*event.logical_id, event)).collect();
    let waiting = last.into_values();
    let waiting = waiting.filter(|event| event.status.ends_with("_IN_PROGRESS"));
    waiting.cloned().collect()
}

/// Finds the failure that the others follow from: the first one that is no cancellation.
#[must_use]
pub fn first_failure<'a>(events: &'a [Event], stack_id: &str) -> Option<&'a Event> {
    let failed = |event: &&Event| event.status.ends_with("_FAILED") && !event.is_of_stack(stack_id);
    let cancelled = |event: &Event| event.reason.to_lowercase().contains("cancelled");
    events
        .iter()
        .filter(failed)
        .find(|event| !cancelled(event))
        .or_else(|| events.iter().find(failed))
}

/// Types whose loss loses data or the cluster itself.
const PRECIOUS: [&str; 14] = [
    "AWS::Backup::BackupVault",
    "AWS::DynamoDB::Table",
    "AWS::EC2::VPC",
    "AWS::EC2::Volume",
    "AWS::ECR::Repository",
    "AWS::EFS::FileSystem",
    "AWS::EKS::Cluster",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::Route53::HostedZone",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
];

/// Says whether resources of this type are neither replaced nor deleted unless that is allowed:
/// even where the old one is retained, the environment goes on with another one.
#[must_use]
pub fn is_protected(kind: &str) -> bool {
    PRECIOUS.contains(&kind)
}

/// Says whether losing a resource of this type under this policy cannot be undone.
#[must_use]
pub fn is_lost(kind: &str, policy: &str) -> bool {
    is_protected(kind) && !policy.contains("Retain") && !policy.contains("Snapshot")
}
