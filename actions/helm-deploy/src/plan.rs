//! What a run would do, decided from what was observed; pure.

use std::collections::{BTreeMap, BTreeSet};

use cluster::Attempt;
use plan::{Change, Digest, Operation, Plan};
use serde_json::{Value, json};

use crate::helm::Revision;
use crate::inputs::Name;
use crate::manifest::{self, ObjectId, Objects};

/// More changed fields than this are counted, not listed.
const LISTED_FIELDS: usize = 4;

/// What was seen before anything is done.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Whether the namespace exists.
    pub namespace_exists: bool,
    /// The revisions that Helm keeps, the oldest first.
    pub revisions: Vec<Revision>,
    /// The revision that counts as what runs.
    pub live: Option<Live>,
    /// What the chart and the values give.
    pub wanted: Objects,
    /// The hooks that would run.
    pub hooks: Objects,
    /// The values that the user gives.
    pub values: Value,
    /// What a run that was killed left half-done.
    pub pending: Option<Objects>,
    /// Objects of the live revision that somebody deleted.
    pub missing: BTreeSet<ObjectId>,
    /// The chart's CRDs that are not in the cluster as the chart has them.
    pub crds: Vec<Definition>,
    /// Whether Helm applies this release as Helm 3 did, by patches that it computes itself.
    pub client_side: bool,
    /// What the API server says to each object, where it was asked.
    pub attempts: BTreeMap<ObjectId, Attempt>,
}

/// A CRD of the chart that is not in the cluster as the chart has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The group and the kind of what it defines.
    pub defines: (String, String),
    /// Whether there is another version of it.
    pub exists: bool,
    /// Versions that are no longer served, and fields that are no longer known.
    pub dropped: Vec<String>,
}

/// A revision that was deployed.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its number.
    pub revision: u32,
    /// Its objects.
    pub objects: Objects,
    /// Its hooks.
    pub hooks: Objects,
    /// The values that it was given.
    pub values: Value,
}

/// What is done about a revision that a killed run left pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Forget it: what it was about to apply is applied again.
    Forget(u32),
    /// Go back to the revision that was deployed before it.
    RollBack {
        /// The pending one.
        from: u32,
        /// The deployed one.
        to: u32,
    },
    /// Take out what was half-installed, or half-uninstalled.
    Uninstall(u32),
}

impl Observed {
    /// Gives the revision that is deployed.
    #[must_use]
    pub fn deployed(&self) -> Option<u32> {
        let mut deployed = self
            .revisions
            .iter()
            .filter(|revision| revision.status == "deployed");
        deployed.next_back().map(|revision| revision.revision)
    }

    /// Says whether a run that was killed left Helm in the middle of something.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let last = self.revisions.last();
        last.is_some_and(|last| {
            last.status.starts_with("pending-") || last.status == "uninstalling"
        })
    }

    /// Decides what is done about a pending revision.
    #[must_use]
    pub fn repair(&self) -> Option<Repair> {
        let last = self.revisions.last()?;
        match last.status.as_str() {
            "uninstalling" => Some(Repair::Uninstall(last.revision)),
            "pending-install" | "pending-upgrade" | "pending-rollback" => {
                if self.pending.as_ref() == Some(&self.wanted) {
                    return Some(Repair::Forget(last.revision));
                }
                Some(match self.deployed() {
                    Some(to) => Repair::RollBack {
                        from: last.revision,
                        to,
                    },
                    None => Repair::Uninstall(last.revision),
                })
            }
            _ => None,
        }
    }

    /// Gives the last revision before the deployed one that was deployed as well.
    #[must_use]
    pub fn before(&self) -> Option<u32> {
        let deployed = self.deployed()?;
        let mut earlier = self
            .revisions
            .iter()
            .filter(|revision| revision.revision < deployed && revision.status == "superseded");
        earlier.next_back().map(|revision| revision.revision)
    }
}

/// Makes the plan of an installation or upgrade; `created` is the caller's clock.
#[must_use]
pub fn plan(namespace: &Name, release: &Name, observed: &Observed, created: String) -> Plan {
    let mut changes = Vec::new();
    if !observed.namespace_exists {
        changes.push(Change::new(
            Operation::Create,
            "Namespace",
            namespace.as_str(),
        ));
    }
    for definition in &observed.crds {
        let operation = if definition.exists {
            Operation::Update
        } else {
            Operation::Create
        };
        changes.push(
            Change::new(operation, "CustomResourceDefinition", &definition.name)
                .reason("comes with the chart; Helm does not upgrade it"),
        );
    }
    if let Some(repair) = observed.repair() {
        changes.push(repair_change(repair));
    }
    let none = Objects::new();
    let live = observed.live.as_ref();
    let before = live.map_or(&none, |live| &live.objects);
    changes.extend(object_changes(before, observed));
    let hooks_before = live.map_or(&none, |live| &live.hooks);
    changes.extend(hook_changes(hooks_before, observed, !changes.is_empty()));
    let values_differ = live.is_some_and(|live| live.values != observed.values);
    if changes.is_empty() && values_differ {
        changes.push(
            Change::new(Operation::Update, "release", release.as_str())
                .reason("other values, the same objects"),
        );
    }
    let seen = json!({
        "live": live.map(|live| (live.revision, pairs(&live.objects), &live.values)),
        "wanted": (pairs(&observed.wanted), pairs(&observed.hooks)),
        "values": observed.values,
    });
    Plan::new(
        "helm-deploy",
        format!("{namespace}/{release}"),
        Digest::of_json(&seen),
        changes,
        created,
    )
}

fn pairs(objects: &Objects) -> Vec<&Value> {
    objects.values().collect()
}

fn repair_change(repair: Repair) -> Change {
    let (revision, reason) = match repair {
        Repair::Forget(revision) => (
            revision,
            "a killed run left it pending: it is applied again".to_owned(),
        ),
        Repair::RollBack { from, to } => (
            from,
            format!("a killed run left it pending: first back to revision {to}"),
        ),
        Repair::Uninstall(revision) => (
            revision,
            "a killed run left it half-done: it is taken out first".to_owned(),
        ),
    };
    Change::new(Operation::Run, "repair", format!("revision {revision}")).reason(reason)
}

fn object_changes(before: &Objects, observed: &Observed) -> Vec<Change> {
    let mut changes = Vec::new();
    for (id, after) in &observed.wanted {
        let change = match before.get(id) {
            None => Change::new(Operation::Create, &id.kind, id.to_string()),
            Some(_) if observed.missing.contains(id) => {
                Change::new(Operation::Create, &id.kind, id.to_string())
                    .reason("it was deleted by somebody")
            }
            Some(before) if before == after => continue,
            Some(before) => {
                let fields = manifest::changed_fields(before, after);
                Change::new(Operation::Update, &id.kind, id.to_string()).reason(reason(&fields))
            }
        };
        changes.push(change);
    }
    for (id, object) in before {
        if observed.wanted.contains_key(id) || manifest::is_kept(object) {
            continue;
        }
        let mut change = Change::new(Operation::Delete, &id.kind, id.to_string());
        change.loses_data = matches!(id.kind.as_str(), "PersistentVolumeClaim" | "postgresql");
        changes.push(change);
    }
    changes
}

/// Hooks run with every installation and upgrade: those that changed are a reason for one.
fn hook_changes(before: &Objects, observed: &Observed, upgrades: bool) -> Vec<Change> {
    let runs = upgrades || *before != observed.hooks;
    let hooks = observed.hooks.keys().filter(|_| runs);
    hooks
        .map(|id| {
            Change::new(Operation::Run, &id.kind, id.to_string()).reason("a hook of the chart")
        })
        .collect()
}

fn reason(fields: &[String]) -> String {
    let mut reason = fields
        .iter()
        .take(LISTED_FIELDS)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if fields.len() > LISTED_FIELDS {
        reason = format!("{reason} and {} more fields", fields.len() - LISTED_FIELDS);
    }
    if fields
        .iter()
        .any(|field| field.starts_with("spec.template."))
    {
        reason.push_str(" (new pods)");
    }
    reason
}

/// Renders what differs in each object that changes; secrets are masked.
#[must_use]
pub fn differences(observed: &Observed) -> Vec<(String, String)> {
    let none = Objects::new();
    let before = observed.live.as_ref().map_or(&none, |live| &live.objects);
    let ids: BTreeSet<&ObjectId> = before.keys().chain(observed.wanted.keys()).collect();
    ids.into_iter()
        .filter_map(|id| {
            let (old, new) = (before.get(id), observed.wanted.get(id));
            let changed = old != new && (new.is_some() || !old.is_some_and(manifest::is_kept));
            changed.then(|| (format!("{} {id}", id.kind), manifest::difference(old, new)))
        })
        .collect()
}
