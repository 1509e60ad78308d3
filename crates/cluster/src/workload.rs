//! Workloads: what runs pods, and how far each is on its way to ready.

use std::fmt;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A kind of workload that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` `StatefulSet`.
    StatefulSet,
    /// `apps/v1` `DaemonSet`.
    DaemonSet,
    /// `batch/v1` Job.
    Job,
    /// `acid.zalan.do/v1` postgresql: a database cluster of Zalando's operator.
    Postgresql,
}

impl WorkloadKind {
    /// Gives the kind's name in manifests.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::Postgresql => "postgresql",
        }
    }
}

/// A workload in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.name)
    }
}

impl Serialize for Workload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}/{self}", self.namespace))
    }
}

/// How far a workload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether everything that was asked for runs and is ready.
    pub ready: bool,
    /// Why it will never be, when the API server says so itself.
    pub failed: Option<String>,
    /// For people: `2 of 3 ready`.
    pub text: String,
}

impl Progress {
    fn counted(ready: i32, wanted: i32, done: bool) -> Self {
        Self {
            ready: done,
            failed: None,
            text: format!("{ready} of {wanted} ready"),
        }
    }

    fn unseen() -> Self {
        Self {
            ready: false,
            failed: None,
            text: "not yet seen by its controller".into(),
        }
    }
}

impl Workload {
    /// Names a workload.
    pub fn new(kind: WorkloadKind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Recognises a manifest that is a workload; `namespace` is where it goes without one of its own.
    #[must_use]
    pub fn of_manifest(object: &Value, namespace: &str) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let kind = match (text("/apiVersion")?, text("/kind")?) {
            ("apps/v1", "Deployment") => WorkloadKind::Deployment,
            ("apps/v1", "StatefulSet") => WorkloadKind::StatefulSet,
            ("apps/v1", "DaemonSet") => WorkloadKind::DaemonSet,
            ("batch/v1", "Job") => WorkloadKind::Job,
            ("acid.zalan.do/v1", "postgresql") => WorkloadKind::Postgresql,
            _ => return None,
        };
        let namespace = text("/metadata/namespace").unwrap_or(namespace);
        Some(Self::new(kind, namespace, text("/metadata/name")?))
    }
}

/// Says how far a Deployment is.
pub(crate) fn deployment(object: &Deployment) -> Progress {
    let spec = object.spec.clone();
    let status = object.status.clone().unwrap_or_default();
    if status.observed_generation < object.metadata.generation {
        return Progress::unseen();
    }
    let wanted = spec.replicas.unwrap_or(1);
    let updated = status.updated_replicas.unwrap_or_default();
    let available = status.available_replicas.unwrap_or_default();
    let all = status.replicas.unwrap_or_default();
    let mut progress = Progress::counted(
        available.min(updated),
        wanted,
        updated >= wanted && available >= wanted && all <= updated,
    );
    if updated < wanted {
        progress.text = format!("{updated} of {wanted} updated, {available} available");
    } else if all > updated {
        progress.text = format!("{wanted} of {wanted} ready, {} old to end", all - updated);
    }
    progress
}

/// Counts the pods of a Deployment that are not of its newest `ReplicaSet` and may still answer.
/// One whose grace period is over (its `deletionTimestamp` has passed) has been killed, or its
/// node is gone: it is not waited for.
pub(crate) fn old_pods(pods: &[Pod], newest: &ReplicaSet, now: Timestamp) -> usize {
    const TEMPLATE: &str = "pod-template-hash";
    let current = newest.labels().get(TEMPLATE);
    pods.iter()
        .filter(|pod| pod.labels().get(TEMPLATE) != current)
        .filter(|pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
        })
        .filter(|pod| {
            let ends = pod.metadata.deletion_timestamp.as_ref();
            ends.is_none_or(|ends| ends.0 > now)
        })
        .count()
}

/// Says how far a `StatefulSet` is.
pub(crate) fn stateful_set(object: &StatefulSet) -> Progress {
    let spec = object.spec.clone();
    let Some(status) = object.status.clone() else {
        return Progress::unseen();
    };
    if status.observed_generation < object.metadata.generation {
        return Progress::unseen();
    }
    let wanted = spec.replicas.unwrap_or(1);
    let ready = status.ready_replicas.unwrap_or_default();
    let rolls = spec
        .update_strategy
        .and_then(|strategy| strategy.type_)
        .is_none_or(|strategy| strategy != "OnDelete");
    let current = !rolls || status.current_revision == status.update_revision;
    let updated = status.updated_replicas.unwrap_or_default();
    let mut progress = Progress::counted(
        ready,
        wanted,
        ready >= wanted && (current || updated >= wanted),
    );
    if !progress.ready && !current {
        progress.text = format!("{updated} of {wanted} updated, {ready} ready");
    }
    progress
}

/// Says how far a `DaemonSet` is.
pub(crate) fn daemon_set(object: &DaemonSet) -> Progress {
    let Some(status) = object.status.clone() else {
        return Progress::unseen();
    };
    if status.observed_generation < object.metadata.generation {
        return Progress::unseen();
    }
    let wanted = status.desired_number_scheduled;
    let updated = status.updated_number_scheduled.unwrap_or_default();
    let available = status.number_available.unwrap_or_default();
    Progress::counted(
        available.min(updated),
        wanted,
        updated >= wanted && available >= wanted,
    )
}

/// Says how far a Job is.
pub(crate) fn job(object: &Job) -> Progress {
    let status = object.status.clone().unwrap_or_default();
    let wanted = object
        .spec
        .as_ref()
        .and_then(|spec| spec.completions)
        .unwrap_or(1);
    let succeeded = status.succeeded.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let condition = |name: &str| {
        conditions
            .iter()
            .find(|condition| condition.type_ == name && condition.status == "True")
    };
    Progress {
        ready: condition("Complete").is_some(),
        failed: condition("Failed").map(|condition| {
            let reason = condition.reason.clone().unwrap_or_default();
            let message = condition.message.clone().unwrap_or_default();
            format!("{reason}: {message}")
        }),
        text: format!("{succeeded} of {wanted} succeeded"),
    }
}

/// Says how far a `postgresql` resource is; `members` is the `StatefulSet` that its operator made.
pub(crate) fn postgresql(object: &Value, members: Option<&StatefulSet>) -> Progress {
    let status = object
        .pointer("/status/PostgresClusterStatus")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let wanted = object
        .pointer("/spec/numberOfInstances")
        .and_then(Value::as_i64)
        .and_then(|count| i32::try_from(count).ok())
        .unwrap_or(1);
    let ready = members
        .and_then(|members| members.status.as_ref()?.ready_replicas)
        .unwrap_or_default();
    let said = if status.is_empty() {
        "not yet seen by the operator"
    } else {
        status
    };
    Progress {
        ready: status == "Running" && ready >= wanted,
        // The operator tries the other failures again by itself.
        failed: (status == "Invalid").then(|| "the operator calls the resource invalid".into()),
        text: format!("{said}, {ready} of {wanted} members ready"),
    }
}
