//! Rollouts, followed until they are ready or cannot become so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Node, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, LogParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;

use crate::connect::Cluster;
use crate::diagnosis::{Finding, Observed, diagnose, is_unscheduled};
use crate::error::ClusterError;
use crate::workload::{self, Progress, Workload, WorkloadKind};

const POLL_EVERY: Duration = Duration::from_secs(1);
/// A line is written at least this often while nothing changes.
const SILENCE: Duration = Duration::from_secs(15);
/// How many of a broken container's last lines are shown.
const LOG_LINES: i64 = 10;

/// What is to be followed, and how long.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// How long all of them together may take.
    pub timeout: Duration,
    /// Whether to give up as soon as something is seen that does not heal by itself.
    pub fail_fast: bool,
}

impl Rollout {
    /// Follows workloads, and gives up as soon as one cannot become ready.
    #[must_use]
    pub fn new(workloads: Vec<Workload>, timeout: Duration) -> Self {
        Self {
            workloads,
            timeout,
            fail_fast: true,
        }
    }
}

/// A workload that became ready.
#[derive(Clone, Debug, Serialize)]
pub struct Tracked {
    /// The workload.
    pub workload: Workload,
    /// Seconds from the start of following it.
    pub seconds: f64,
    /// How far it is.
    pub state: String,
}

/// The pods that a workload wants now, and what else tells why they are not ready.
struct Selection {
    labels: String,
    owners: BTreeSet<String>,
}

impl Cluster {
    /// Follows workloads until all are ready, and says how long each took. Ends with
    /// [`ClusterError::NotReady`] within seconds when one cannot become ready, and with
    /// [`ClusterError::TimedOut`] at the deadline.
    pub async fn track(&self, rollout: &Rollout) -> Result<Vec<Tracked>, ClusterError> {
        let started = Instant::now();
        let mut waiting: Vec<Workload> = rollout.workloads.clone();
        let mut tracked = Vec::new();
        let mut said: BTreeMap<Workload, (String, Instant)> = BTreeMap::new();
        let mut first_seen: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let mut findings = Vec::new();
            let mut states = Vec::new();
            for workload in std::mem::take(&mut waiting) {
                let progress = self.progress_of(&workload).await?;
                say(&mut said, &workload, &progress);
                if progress.ready {
                    tracked.push(Tracked {
                        workload,
                        seconds: seconds(started.elapsed()),
                        state: progress.text,
                    });
                    continue;
                }
                states.push(format!("{workload}: {}", progress.text));
                findings.extend(self.findings_of(&workload, progress.failed).await?);
                waiting.push(workload);
            }
            if waiting.is_empty() {
                return Ok(tracked);
            }
            findings.sort_by_key(|finding| finding.patience);
            let over = |finding: &Finding| {
                let since = first_seen
                    .get(&finding.key())
                    .map_or(Duration::ZERO, Instant::elapsed);
                finding.patience.is_some_and(|patience| since >= patience)
            };
            if rollout.fail_fast && findings.iter().any(over) {
                findings.retain(over);
                return Err(ClusterError::NotReady { findings });
            }
            if started.elapsed() >= rollout.timeout {
                return Err(ClusterError::TimedOut {
                    after: rollout.timeout,
                    waiting: states,
                    findings,
                });
            }
            remember(&mut first_seen, &findings);
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Asks how far a workload is.
    pub async fn progress_of(&self, workload: &Workload) -> Result<Progress, ClusterError> {
        Ok(match workload.kind {
            WorkloadKind::Deployment => match self.one::<Deployment>(workload).await? {
                Some(deployment) => {
                    // Boxed: it holds a whole Deployment, and is awaited in a large future.
                    Some(Box::pin(self.progress_of_deployment(&deployment, workload)).await?)
                }
                None => None,
            },
            WorkloadKind::StatefulSet => self
                .one::<StatefulSet>(workload)
                .await?
                .as_ref()
                .map(workload::stateful_set),
            WorkloadKind::DaemonSet => self
                .one::<DaemonSet>(workload)
                .await?
                .as_ref()
                .map(workload::daemon_set),
            WorkloadKind::Job => self.one::<Job>(workload).await?.as_ref().map(workload::job),
            WorkloadKind::Postgresql => {
                let resource = ApiResource::from_gvk_with_plural(
                    &GroupVersionKind::gvk("acid.zalan.do", "v1", "postgresql"),
                    "postgresqls",
                );
                let api: Api<DynamicObject> =
                    Api::namespaced_with(self.client(), &workload.namespace, &resource);
                let object = api.get_opt(&workload.name).await;
                let object = object.map_err(|error| reading(workload, error))?;
                let members = self.one::<StatefulSet>(workload).await?;
                object.map(|object| workload::postgresql(&object.data, members.as_ref()))
            }
        }
        .unwrap_or_else(|| Progress {
            ready: false,
            failed: Some("it is not in the cluster".into()),
            text: "not there".into(),
        }))
    }

    /// A Deployment does not count pods that end, yet until its proxies know, an old one is still
    /// asked: the new version is out only when no old pod can answer.
    async fn progress_of_deployment(
        &self,
        deployment: &Deployment,
        workload: &Workload,
    ) -> Result<Progress, ClusterError> {
        let mut progress = workload::deployment(deployment);
        if progress.ready
            && let Some(newest) = self.newest_replica_set(deployment, workload).await?
        {
            let labels = equal_labels(&deployment.spec.selector);
            let api: Api<Pod> = Api::namespaced(self.client(), &workload.namespace);
            let pods = api.list(&ListParams::default().labels(&labels)).await;
            let pods = pods.map_err(|error| reading(workload, error))?.items;
            let old = workload::old_pods(&pods, &newest, Timestamp::now());
            if old > 0 {
                progress.ready = false;
                progress.text = format!("{}, {old} old to end", progress.text);
            }
        }
        Ok(progress)
    }

    async fn one<K>(&self, workload: &Workload) -> Result<Option<K>, ClusterError>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client(), &workload.namespace);
        let found = api.get_opt(&workload.name).await;
        found.map_err(|error| reading(workload, error))
    }

    async fn findings_of(
        &self,
        workload: &Workload,
        failed: Option<String>,
    ) -> Result<Vec<Finding>, ClusterError> {
        let mut findings = diagnose(&self.observe(workload).await?);
        if let Some(failed) = failed {
            // Why its pods failed tells more than that it failed.
            if findings.iter().any(Finding::is_of_a_container) {
                for finding in &mut findings {
                    finding.patience = Some(Duration::ZERO);
                }
            } else {
                findings.push(Finding::failed(workload, &failed));
            }
        }
        Ok(findings)
    }

    /// Reads what [`diagnose`] looks at for one workload: its newest pods, their events, claims and
    /// the last lines of broken containers.
    pub async fn observe(&self, workload: &Workload) -> Result<Observed, ClusterError> {
        let Some(selection) = self.selection(workload).await? else {
            return Ok(Observed::default());
        };
        let namespace = &workload.namespace;
        let select = ListParams::default().labels(&selection.labels);
        let pods: Api<Pod> = Api::namespaced(self.client(), namespace);
        let found = pods.list(&select).await;
        let mut found = found.map_err(|error| reading(workload, error))?.items;
        found.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        let claims = self.claims_of(namespace, &found).await;
        let mut names = selection.owners;
        names.extend(found.iter().map(ResourceExt::name_any));
        names.extend(claims.iter().map(ResourceExt::name_any));
        // Events explain, they are not needed: without the permission there are none.
        let events: Api<Event> = Api::namespaced(self.client(), namespace);
        let events = match events.list(&ListParams::default()).await {
            Ok(events) => events.items,
            Err(error) => {
                tracing::debug!("read the events of {namespace}: {error}");
                Vec::new()
            }
        };
        let events = events
            .into_iter()
            .filter(|event| {
                let about = event.involved_object.name.as_ref();
                about.is_some_and(|name| names.contains(name))
            })
            .collect();
        let mut logs = BTreeMap::new();
        for pod in &found {
            for container in broken_containers(pod) {
                if let Some(lines) = last_lines(&pods, &pod.name_any(), &container).await {
                    logs.insert((pod.name_any(), container), lines);
                }
            }
        }
        let (nodes, neighbours) = if found.iter().any(is_unscheduled) {
            self.nodes().await
        } else {
            (Vec::new(), Vec::new())
        };
        Ok(Observed {
            pods: found,
            events,
            claims,
            logs,
            nodes,
            neighbours,
        })
    }

    /// Reads the nodes and the pods on them, which explain and are not needed: who may not see the
    /// whole cluster gets none.
    async fn nodes(&self) -> (Vec<Node>, Vec<Pod>) {
        let placed = ListParams::default().fields("spec.nodeName!=");
        let nodes = Api::<Node>::all(self.client())
            .list(&ListParams::default())
            .await;
        let pods = Api::<Pod>::all(self.client()).list(&placed).await;
        match (nodes, pods) {
            (Ok(nodes), Ok(pods)) => (nodes.items, pods.items),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!("read the nodes and their pods: {error}");
                (Vec::new(), Vec::new())
            }
        }
    }

    async fn claims_of(&self, namespace: &str, pods: &[Pod]) -> Vec<PersistentVolumeClaim> {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client(), namespace);
        let mut claims = Vec::new();
        let volumes = pods
            .iter()
            .filter(|pod| {
                pod.spec
                    .as_ref()
                    .is_some_and(|spec| spec.node_name.is_none())
            })
            .flat_map(|pod| {
                pod.spec
                    .iter()
                    .flat_map(|spec| spec.volumes.iter().flatten())
            });
        for volume in volumes {
            let Some(claim) = &volume.persistent_volume_claim else {
                continue;
            };
            if let Ok(Some(claim)) = api.get_opt(&claim.claim_name).await {
                claims.push(claim);
            }
        }
        claims
    }

    async fn selection(&self, workload: &Workload) -> Result<Option<Selection>, ClusterError> {
        let mut owners = BTreeSet::from([workload.name.clone()]);
        let labels = match workload.kind {
            WorkloadKind::Deployment => {
                let Some(deployment) = self.one::<Deployment>(workload).await? else {
                    return Ok(None);
                };
                let Some(newest) = self.newest_replica_set(&deployment, workload).await? else {
                    return Ok(None);
                };
                owners.insert(newest.name_any());
                equal_labels(&newest.spec.selector)
            }
            WorkloadKind::StatefulSet => {
                let Some(set) = self.one::<StatefulSet>(workload).await? else {
                    return Ok(None);
                };
                equal_labels(&set.spec.selector)
            }
            WorkloadKind::DaemonSet => {
                let Some(set) = self.one::<DaemonSet>(workload).await? else {
                    return Ok(None);
                };
                equal_labels(&set.spec.selector)
            }
            WorkloadKind::Job => format!("batch.kubernetes.io/job-name={}", workload.name),
            WorkloadKind::Postgresql => format!("application=spilo,cluster-name={}", workload.name),
        };
        Ok((!labels.is_empty()).then_some(Selection { labels, owners }))
    }

    async fn newest_replica_set(
        &self,
        deployment: &Deployment,
        workload: &Workload,
    ) -> Result<Option<ReplicaSet>, ClusterError> {
        const REVISION: &str = "deployment.kubernetes.io/revision";
        let labels = equal_labels(&deployment.spec.selector);
        let api: Api<ReplicaSet> = Api::namespaced(self.client(), &workload.namespace);
        let sets = api.list(&ListParams::default().labels(&labels)).await;
        let sets = sets.map_err(|error| reading(workload, error))?;
        let revision = deployment.annotations().get(REVISION);
        Ok(sets.items.into_iter().find(|set| {
            let owned = set
                .owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref());
            owned && set.annotations().get(REVISION) == revision
        }))
    }
}

fn say(said: &mut BTreeMap<Workload, (String, Instant)>, workload: &Workload, progress: &Progress) {
    let known = said.get(workload);
    let repeats =
        known.is_some_and(|(text, when)| *text == progress.text && when.elapsed() < SILENCE);
    if !repeats {
        tracing::info!("{workload}: {}", progress.text);
        said.insert(workload.clone(), (progress.text.clone(), Instant::now()));
    }
}

fn remember(first_seen: &mut BTreeMap<String, Instant>, findings: &[Finding]) {
    let keys: BTreeSet<String> = findings.iter().map(Finding::key).collect();
    first_seen.retain(|key, _| keys.contains(key));
    for finding in findings {
        first_seen.entry(finding.key()).or_insert_with(|| {
            tracing::info!("{}", finding.text);
            Instant::now()
        });
    }
}

fn reading(workload: &Workload, error: kube::Error) -> ClusterError {
    ClusterError::of(
        format!("read {workload} in `{}`", workload.namespace),
        error,
    )
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

fn equal_labels(selector: &LabelSelector) -> String {
    let parts: Vec<String> = selector
        .match_labels
        .iter()
        .flatten()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.join(",")
}

/// Names the containers of a pod that ended badly at least once.
fn broken_containers(pod: &Pod) -> Vec<String> {
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let statuses = status.init_container_statuses.iter().flatten();
    statuses
        .chain(status.container_statuses.iter().flatten())
        .filter(|container| {
            let moments = [container.state.as_ref(), container.last_state.as_ref()];
            moments
                .into_iter()
                .flatten()
                .filter_map(|state| state.terminated.as_ref())
                .any(|end| end.exit_code != 0)
        })
        .map(|container| container.name.clone())
        .collect()
}

async fn last_lines(pods: &Api<Pod>, pod: &str, container: &str) -> Option<Vec<String>> {
    for previous in [false, true] {
        let parameters = LogParams {
            container: Some(container.into()),
            tail_lines: Some(LOG_LINES),
            previous,
            ..LogParams::default()
        };
        if let Ok(text) = pods.logs(pod, &parameters).await
            && !text.trim().is_empty()
        {
            return Some(text.lines().map(String::from).collect());
        }
    }
    None
}
