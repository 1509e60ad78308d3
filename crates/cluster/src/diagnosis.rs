//! Why pods are not ready: a pure function from what the API server said to causes.
//!
//! A finding carries its [patience](Finding::patience): how long its cause may last before nothing
//! but a change heals it. An image that does not exist has none; a secret that an operator may be
//! about to write has half a minute; a probe that is not answered yet has until the deadline.

mod container;
mod placement;
mod room;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use crate::workload::Workload;

/// What was seen of a workload's newest pods.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The pods.
    pub pods: Vec<Pod>,
    /// Events about the pods, their claims and their owners.
    pub events: Vec<Event>,
    /// Volume claims of the pods that have no node yet.
    pub claims: Vec<PersistentVolumeClaim>,
    /// Last lines of containers that ended badly, by pod and container.
    pub logs: BTreeMap<(String, String), Vec<String>>,
    /// The nodes, when a pod gets none of them.
    pub nodes: Vec<Node>,
    /// The pods that are on these nodes.
    pub neighbours: Vec<Pod>,
}

/// Why something is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// The image does not exist.
    ImageMissing {
        /// The image.
        image: String,
    },
    /// The registry does not let the node pull.
    ImageRefused {
        /// The image.
        image: String,
    },
    /// The image cannot be pulled for another reason.
    ImagePull {
        /// The image.
        image: String,
        /// What the node said.
        message: String,
    },
    /// A secret, config map, or key that the pod names does not exist, or its settings contradict.
    BadConfiguration {
        /// What the node said.
        message: String,
    },
    /// The container cannot be started.
    CannotStart {
        /// What the node said.
        message: String,
    },
    /// The container ends again and again.
    CrashLoop {
        /// Its last exit status.
        exit_code: i32,
        /// How often it was started again.
        restarts: i32,
        /// The last lines that it wrote.
        last_lines: Vec<String>,
    },
    /// The container used more memory than its limit.
    OutOfMemory {
        /// The limit.
        limit: Option<String>,
    },
    /// A probe fails.
    FailedProbe {
        /// What the node said.
        message: String,
    },
    /// No node takes the pod.
    Unschedulable {
        /// What the scheduler said.
        message: String,
    },
    /// A volume claim is not bound.
    ClaimPending {
        /// The claim.
        claim: String,
        /// What its events say.
        message: String,
    },
    /// A quota or a limit range forbids the pod.
    Quota {
        /// What the API server said.
        message: String,
    },
    /// Admission refuses the pod.
    Admission {
        /// What the API server said.
        message: String,
    },
    /// The workload itself says that it failed.
    Failed {
        /// What it says.
        message: String,
    },
}

impl Cause {
    /// Gives the word that stands in the report.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::ImageMissing { .. } => "image-missing",
            Self::ImageRefused { .. } => "image-refused",
            Self::ImagePull { .. } => "image-pull",
            Self::BadConfiguration { .. } => "bad-configuration",
            Self::CannotStart { .. } => "cannot-start",
            Self::CrashLoop { .. } => "crash-loop",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::FailedProbe { .. } => "failed-probe",
            Self::Unschedulable { .. } => "unschedulable",
            Self::ClaimPending { .. } => "claim-pending",
            Self::Quota { .. } => "quota",
            Self::Admission { .. } => "admission",
            Self::Failed { .. } => "failed",
        }
    }

    /// Says whether a container never ran because of it.
    #[must_use]
    pub fn keeps_from_starting(&self) -> bool {
        !matches!(
            self,
            Self::CrashLoop { .. }
                | Self::OutOfMemory { .. }
                | Self::FailedProbe { .. }
                | Self::Failed { .. }
        )
    }
}

/// One thing that is wrong, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
    /// The pod, where there is one.
    pub pod: Option<String>,
    /// The container, where there is one.
    pub container: Option<String>,
    /// The pod's node, where it has one.
    pub node: Option<String>,
    /// What is wrong, in one sentence with the names.
    pub text: String,
    /// What to do.
    pub hint: String,
    /// How long it may last before nothing but a change heals it; none: until the deadline.
    #[serde(skip)]
    pub patience: Option<Duration>,
    /// What the pod belongs to; pods come and go with the same cause.
    #[serde(skip)]
    owner: String,
}

impl Finding {
    /// Names the finding across pods that replace each other.
    pub(crate) fn key(&self) -> String {
        let container = self.container.as_deref().unwrap_or_default();
        format!("{}/{container}/{}", self.owner, self.cause.word())
    }

    pub(crate) fn is_of_a_container(&self) -> bool {
        self.container.is_some()
    }

    pub(crate) fn failed(workload: &Workload, message: &str) -> Self {
        Self {
            cause: Cause::Failed {
                message: message.into(),
            },
            pod: None,
            container: None,
            node: None,
            text: format!("{workload} failed: {message}"),
            hint: format!(
                "`kubectl --namespace {} describe {} {}` shows its conditions and events",
                workload.namespace,
                workload.kind.word().to_lowercase(),
                workload.name
            ),
            patience: Some(Duration::ZERO),
            owner: workload.name.clone(),
        }
    }
}

/// Says what is wrong, one finding for each cause and owner, in the order of the pods.
#[must_use]
pub fn diagnose(observed: &Observed) -> Vec<Finding> {
    let mut findings = placement::of_owners(observed);
    for pod in &observed.pods {
        if is_ready(pod) {
            continue;
        }
        findings.extend(placement::of_pod(observed, pod));
        findings.extend(container::of_pod(observed, pod));
    }
    let mut grouped: Vec<(Finding, usize)> = Vec::new();
    for finding in findings {
        match grouped
            .iter_mut()
            .find(|(known, _)| known.key() == finding.key())
        {
            Some((_, count)) => *count += 1,
            None => grouped.push((finding, 1)),
        }
    }
    grouped
        .into_iter()
        .map(|(mut finding, count)| {
            if count > 1 {
                finding.text = format!("{} (and {} more pods)", finding.text, count - 1);
            }
            finding
        })
        .collect()
}

/// The pod that a finding is about, and how to speak of it.
struct Subject<'a> {
    pod: &'a Pod,
    container: Option<&'a str>,
}

impl Subject<'_> {
    fn finding(
        &self,
        cause: Cause,
        patience: Option<u64>,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        let owner = self.pod.owner_references().first();
        Finding {
            cause,
            pod: Some(self.pod.name_any()),
            container: self.container.map(String::from),
            node: self.node(),
            text: text.into(),
            hint: hint.into(),
            patience: patience.map(Duration::from_secs),
            owner: owner.map_or_else(|| self.pod.name_any(), |owner| owner.name.clone()),
        }
    }

    fn node(&self) -> Option<String> {
        self.pod.spec.as_ref()?.node_name.clone()
    }

    /// Names pod, container and node.
    fn place(&self) -> String {
        let mut place = format!("pod `{}`", self.pod.name_any());
        if let Some(container) = self.container {
            place = format!("container `{container}` of {place}");
        }
        if let Some(node) = self.node() {
            place = format!("{place} on node `{node}`");
        }
        place
    }
}

/// Says whether the scheduler found no node for a pod.
pub(crate) fn is_unscheduled(pod: &Pod) -> bool {
    condition(pod, "PodScheduled")
        .is_some_and(|(status, message)| status == "False" && !message.is_empty())
}

fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|(status, _)| status == "True")
}

/// Gives a condition's status and message.
fn condition<'a>(pod: &'a Pod, name: &str) -> Option<(&'a str, &'a str)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions
        .iter()
        .find(|condition| condition.type_ == name)?;
    Some((
        condition.status.as_str(),
        condition.message.as_deref().unwrap_or_default(),
    ))
}

/// Gives the events about an object, the newest first.
fn events_about<'a>(
    observed: &'a Observed,
    name: &'a str,
    uid: Option<&'a str>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut events: Vec<&Event> = observed
        .events
        .iter()
        .filter(|event| {
            let about = &event.involved_object;
            let same_life = match (uid, about.uid.as_deref()) {
                (Some(uid), Some(about)) => uid == about,
                _ => true,
            };
            about.name.as_deref() == Some(name) && same_life
        })
        .collect();
    events.sort_by_key(|event| std::cmp::Reverse(time_of(event)));
    events.into_iter().map(|event| {
        (
            event.reason.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default(),
        )
    })
}

fn time_of(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref());
    series
        .or(event.event_time.as_ref())
        .map(|time| time.0)
        .or(event.last_timestamp.as_ref().map(|time| time.0))
}
