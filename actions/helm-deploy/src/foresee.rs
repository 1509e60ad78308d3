//! What is known to go wrong, or to surprise, before anything is done; pure.
//!
//! Every object that would be applied was [tried](cluster::Attempt) in Helm's name. What the API
//! server said to it is told here with what to do, and whether it would stop Helm as well.

use std::fmt;

use cluster::{Attempt, Conflict, Refusal};
use serde::Serialize;
use serde_json::Value;

use crate::error::helm_hint;
use crate::manifest::{self, ObjectId};
use crate::plan::Observed;
use crate::pods;

/// Longer values are cut.
const LONGEST_VALUE: usize = 80;
/// What a `StatefulSet` lets be changed.
const CHANGEABLE: [&str; 7] = [
    "spec.replicas",
    "spec.ordinals",
    "spec.template",
    "spec.updateStrategy",
    "spec.persistentVolumeClaimRetentionPolicy",
    "spec.minReadySeconds",
    "spec.revisionHistoryLimit",
];

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// Somebody else owns a field that the release sets to another value.
    FieldConflict,
    /// A field that cannot be changed would be.
    ImmutableField,
    /// The API server would refuse the object.
    WouldBeRefused,
    /// The API server does not let the object be tried.
    NotTried,
    /// A CRD loses versions or fields.
    DefinitionNarrows,
    /// Pods go on with values that they read when they started.
    OldValues,
    /// An image is named by a tag.
    ImageWithoutDigest,
    /// A container requests no CPU or memory.
    NoRequests,
    /// A pod may do what belongs to the node.
    Privileged,
}

/// Something that is seen before it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What it is about.
    pub about: About,
    /// The object: `Deployment orders`.
    pub object: String,
    /// What is seen.
    pub text: String,
    /// What to do.
    pub hint: String,
    /// Whether the release cannot be applied while it is so.
    pub stops: bool,
    /// Who owns the field, and both values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stops = if self.stops { " (stops `apply`)" } else { "" };
        write!(f, "{}: {}{stops}", self.object, self.text)
    }
}

impl Warning {
    pub(crate) fn new(
        about: About,
        object: impl fmt::Display,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            about,
            object: object.to_string(),
            text: text.into(),
            hint: hint.into(),
            stops: false,
            conflict: None,
        }
    }

    fn stops(mut self) -> Self {
        self.stops = true;
        self
    }
}

/// Tells what the attempts, the chart's CRDs and the pods' sources of values show.
#[must_use]
pub fn foresee(observed: &Observed) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut untried: Vec<(&ObjectId, &str)> = Vec::new();
    for (id, attempt) in &observed.attempts {
        match attempt {
            Attempt::Fits(_) | Attempt::Early => {}
            Attempt::Conflicts(conflicts) => {
                let conflicts = conflicts.iter().cloned();
                warnings.extend(conflicts.map(|one| conflict(observed, id, one)));
            }
            Attempt::Refused(refusal) => warnings.extend(refused(observed, id, refusal)),
            Attempt::Untried(why) => untried.push((id, why)),
        }
    }
    if let Some((id, why)) = untried.first() {
        let more = match untried.len() {
            1 => String::new(),
            count => format!(" and {} more objects", count - 1),
        };
        warnings.push(Warning::new(
            About::NotTried,
            format_args!("{} {id}{more}", id.kind),
            format!("conflicts and refusals would show only when they are applied: {why}"),
            "grant this user `patch` on the release's kinds: a dry run needs the same permission as the change",
        ));
    }
    warnings.extend(narrowed(observed));
    warnings.extend(old_values(observed));
    warnings
}

fn conflict(observed: &Observed, id: &ObjectId, mut conflict: Conflict) -> Warning {
    if id.kind == "Secret" {
        for value in [&mut conflict.live, &mut conflict.wanted] {
            *value = value.as_ref().map(|_| Value::from("***"));
        }
    }
    let through = conflict
        .subresource
        .as_ref()
        .map(|part| format!(" (through `{part}`)"));
    let text = format!(
        "`{}` is {} and owned by `{}`{}, and the release sets {}",
        conflict.field,
        shown(conflict.live.as_ref()),
        conflict.owner,
        through.unwrap_or_default(),
        shown(conflict.wanted.as_ref()),
    );
    let hint = remedy(observed, id, &conflict);
    Warning {
        conflict: Some(conflict),
        ..Warning::new(
            About::FieldConflict,
            format_args!("{} {id}", id.kind),
            text,
            hint,
        )
        .stops()
    }
}

/// Names what ends a conflict without taking anything from anybody.
fn remedy(observed: &Observed, id: &ObjectId, conflict: &Conflict) -> String {
    let (field, owner) = (&conflict.field, &conflict.owner);
    let scaled = conflict.subresource.as_deref() == Some("scale") && !by_hand(owner);
    if field == "spec.replicas" && (scaled || is_autoscaled(observed, id)) {
        return "an autoscaler keeps this number: leave `replicas` out of the manifest (most charts do when their autoscaling is switched on) and set the autoscaler's minimum instead".into();
    }
    if by_hand(owner) {
        return format!(
            "it was changed by hand: take {} into the values, or set it back to {} with the same tool; equal values never conflict",
            shown(conflict.live.as_ref()),
            shown(conflict.wanted.as_ref())
        );
    }
    format!(
        "leave the field out of the chart's values when `{owner}` is meant to keep it, else take it out of the settings of `{owner}`; equal values never conflict"
    )
}

/// Says whether a field manager is a person's tool.
pub(crate) fn by_hand(owner: &str) -> bool {
    ["kubectl", "k9s", "Mozilla", "node-fetch", "lens"]
        .iter()
        .any(|tool| owner.starts_with(tool))
}

/// Says whether an autoscaler of the release is pointed to an object.
fn is_autoscaled(observed: &Observed, id: &ObjectId) -> bool {
    let live = observed.live.iter().flat_map(|live| live.objects.values());
    observed.wanted.values().chain(live).any(|object| {
        let target = &object["spec"]["scaleTargetRef"];
        // KEDA's ScaledObject leaves the kind of a Deployment out.
        let kind = target["kind"].as_str().unwrap_or("Deployment");
        target["name"] == id.name.as_str() && kind == id.kind
    })
}

fn refused(observed: &Observed, id: &ObjectId, refusal: &Refusal) -> Vec<Warning> {
    let object = format!("{} {id}", id.kind);
    let (frozen, others): (Vec<_>, Vec<_>) = refusal
        .fields
        .iter()
        .partition(|(_, message)| is_immutable(message));
    let mut warnings: Vec<Warning> = frozen
        .into_iter()
        .map(|(field, message)| {
            let fields = frozen_fields(observed, id, field);
            Warning::new(
                About::ImmutableField,
                &object,
                format!(
                    "`{}` cannot be changed on a living object: {}",
                    fields.join("`, `"),
                    last_words(message)
                ),
                thaw(id, &fields),
            )
            .stops()
        })
        .collect();
    if !others.is_empty() || warnings.is_empty() {
        let told: Vec<String> = others
            .iter()
            .map(|(field, message)| {
                // What a secret holds must not be repeated.
                let message = if id.kind == "Secret" {
                    last_words(message)
                } else {
                    message.as_str()
                };
                if field.is_empty() {
                    message.to_owned()
                } else {
                    format!("`{field}`: {message}")
                }
            })
            .collect();
        let text = if told.is_empty() {
            refusal.message.clone()
        } else {
            told.join("; ")
        };
        let warning = Warning {
            hint: helm_hint(&refusal.message)
                .unwrap_or("correct the value that the message names")
                .into(),
            ..Warning::new(
                About::WouldBeRefused,
                &object,
                format!("the API server would refuse it: {text}"),
                "",
            )
        };
        // A server in trouble may be out of it by then.
        let lasts = refusal.code < 500 || refusal.message.contains("field not declared in schema");
        warnings.push(if lasts && refusal.code != 429 {
            warning.stops()
        } else {
            warning
        });
    }
    warnings
}

fn is_immutable(message: &str) -> bool {
    [
        "immutable",
        "updates to statefulset spec",
        "may not change once set",
        "cannot change roleRef",
        "updates to parameters are forbidden",
        "updates to provisioner are forbidden",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Names the fields; a `StatefulSet` is told of as a whole, so those that differ are looked for.
fn frozen_fields(observed: &Observed, id: &ObjectId, field: &str) -> Vec<String> {
    let before = observed.live.as_ref().and_then(|live| live.objects.get(id));
    if let (Some(before), Some(after)) = (before, observed.wanted.get(id))
        && id.kind == "StatefulSet"
    {
        let mut fields = manifest::changed_fields(before, after);
        fields.retain(|field| {
            field.starts_with("spec.") && !CHANGEABLE.iter().any(|free| field.starts_with(free))
        });
        if !fields.is_empty() {
            return fields;
        }
    }
    vec![field.to_owned()]
}

/// Says how an object gets a value that cannot be changed, with the least harm.
fn thaw(id: &ObjectId, fields: &[String]) -> String {
    let ObjectId { kind, name, .. } = id;
    let word = kind.to_lowercase();
    match kind.as_str() {
        "StatefulSet" => format!(
            "`kubectl delete {word} {name} --cascade=orphan` takes out the object alone: its pods and volumes stay, and the next run makes it anew around them; volumes that exist keep their size"
        ),
        "Deployment" | "DaemonSet" | "ReplicaSet" => {
            "install it under another release name beside this one and take this one out afterwards, or delete the object first and accept the interruption".into()
        }
        "Job" => format!(
            "`kubectl delete {word} {name}` first, or let the chart make its name from its content, or make it a hook with `helm.sh/hook-delete-policy: before-hook-creation`"
        ),
        "PersistentVolumeClaim" => {
            "a claim can only grow, where its class allows it: restore the other fields, or move the data to a new claim".into()
        }
        "Service" => format!(
            "`kubectl delete {word} {name}` first: it gets another address, and clients fail in between"
        ),
        "RoleBinding" | "ClusterRoleBinding" => {
            format!("`kubectl delete {word} {name}` first: the next run makes it anew")
        }
        "ConfigMap" | "Secret" => {
            "give it a name that is made from its content, so that a change makes a new object".into()
        }
        "StorageClass" => "give the new class a name of its own: volumes keep the class they were made with".into(),
        _ => format!(
            "restore `{}`, or delete the object first, when it can be missed",
            fields.join("`, `")
        ),
    }
}

fn narrowed(observed: &Observed) -> impl Iterator<Item = Warning> {
    let narrowed = observed.crds.iter().filter(|one| !one.dropped.is_empty());
    narrowed.map(|one| {
        Warning::new(
            About::DefinitionNarrows,
            format_args!("CustomResourceDefinition {}", one.name),
            format!("no longer knows `{}`", one.dropped.join("`, `")),
            "objects of this kind, in all namespaces, lose what they hold there: look at `kubectl get --all-namespaces` of the kind first",
        )
    })
}

/// Finds config maps and secrets that change while the pods that read them at their start stay.
fn old_values(observed: &Observed) -> Vec<Warning> {
    let Some(live) = &observed.live else {
        return Vec::new();
    };
    let stays = |id: &ObjectId, object: &Value| {
        live.objects
            .get(id)
            .is_some_and(|before| before["spec"]["template"] == object["spec"]["template"])
    };
    let mut warnings = Vec::new();
    for (id, object) in &observed.wanted {
        if !matches!(id.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet")
            || !stays(id, object)
        {
            continue;
        }
        for (kind, name) in pods::sources(object) {
            let same = |other: &&ObjectId| {
                other.kind == kind && other.name == name && other.namespace == id.namespace
            };
            let Some(source) = observed.wanted.keys().find(same) else {
                continue;
            };
            let before = live.objects.get(source);
            if before.is_some_and(|before| Some(before) != observed.wanted.get(source)) {
                warnings.push(Warning::new(
                    About::OldValues,
                    format_args!("{} {id}", id.kind),
                    format!("its pods read {kind} `{name}` when they start, and go on with the old values"),
                    format!(
                        "let the chart put a checksum of it into the pods' annotations, or run `kubectl rollout restart {}/{}` afterwards",
                        id.kind.to_lowercase(),
                        id.name
                    ),
                ));
            }
        }
    }
    warnings
}

/// Leaves out what the message repeats of the values.
fn last_words(message: &str) -> &str {
    message.rsplit_once(": ").map_or(message, |(_, last)| last)
}

pub(crate) fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "nothing".into();
    };
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
