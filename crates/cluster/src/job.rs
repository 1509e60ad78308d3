//! Jobs: their pods' logs as they come, and how they end.

use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};

use crate::connect::Cluster;
use crate::diagnosis::Finding;
use crate::error::ClusterError;
use crate::workload::{Workload, WorkloadKind};

const POLL_EVERY: Duration = Duration::from_millis(500);

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEnd {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// The exit status of the last pod's container, where it ran.
    pub exit_code: Option<i32>,
    /// Why it failed, in the API server's words; empty when it succeeded.
    pub reason: String,
    /// The pods that ran, in their order.
    pub pods: Vec<String>,
}

impl Cluster {
    /// Follows a job to its end, hands each line of its pods' logs to `line`, and says how it ended.
    /// Ends with [`ClusterError::NotReady`] when its pods cannot start (image, configuration,
    /// scheduling), and with [`ClusterError::TimedOut`] at the deadline; the job is left as it is.
    pub async fn follow_job(
        &self,
        namespace: &str,
        name: &str,
        timeout: Duration,
        mut line: impl FnMut(&str),
    ) -> Result<JobEnd, ClusterError> {
        let workload = Workload::new(WorkloadKind::Job, namespace, name);
        let started = Instant::now();
        let mut followed: Vec<String> = Vec::new();
        let mut seen: Vec<(String, Instant)> = Vec::new();
        loop {
            let progress = self.progress_of(&workload).await?;
            let pods = self.pods_of_job(&workload).await?;
            for pod in &pods {
                if has_started(pod) && !followed.contains(&pod.name_any()) {
                    followed.push(pod.name_any());
                    let left = timeout.saturating_sub(started.elapsed());
                    let stream = self.stream(namespace, pod, &mut line);
                    // The deadline ends the stream; the loop below says so.
                    let _ = tokio::time::timeout(left, stream).await;
                }
            }
            let unread = pods
                .iter()
                .any(|pod| has_started(pod) && !followed.contains(&pod.name_any()));
            if (progress.ready || progress.failed.is_some()) && !unread {
                return Ok(JobEnd {
                    succeeded: progress.ready,
                    exit_code: pods.last().and_then(exit_code),
                    reason: progress.failed.unwrap_or_default(),
                    pods: followed,
                });
            }
            let findings = crate::diagnose(&self.observe(&workload).await?);
            let stuck = stuck(findings.clone(), &mut seen);
            if !stuck.is_empty() {
                return Err(ClusterError::NotReady { findings: stuck });
            }
            if started.elapsed() >= timeout {
                return Err(ClusterError::TimedOut {
                    after: timeout,
                    waiting: vec![format!("{workload}: {}", progress.text)],
                    findings,
                });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    async fn pods_of_job(&self, job: &Workload) -> Result<Vec<Pod>, ClusterError> {
        let api: Api<Pod> = Api::namespaced(self.client(), &job.namespace);
        let select = format!("batch.kubernetes.io/job-name={}", job.name);
        let pods = api.list(&ListParams::default().labels(&select)).await;
        let mut pods = pods
            .map_err(|error| ClusterError::of(format!("read the pods of {job}"), error))?
            .items;
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
        Ok(pods)
    }

    async fn stream(&self, namespace: &str, pod: &Pod, line: &mut impl FnMut(&str)) {
        let api: Api<Pod> = Api::namespaced(self.client(), namespace);
        let parameters = LogParams {
            container: pod
                .spec
                .as_ref()
                .and_then(|spec| spec.containers.first())
                .map(|container| container.name.clone()),
            follow: true,
            ..LogParams::default()
        };
        match api.log_stream(&pod.name_any(), &parameters).await {
            Ok(stream) => {
                let mut lines = stream.lines();
                while let Some(Ok(text)) = lines.next().await {
                    line(&text);
                }
            }
            Err(error) => tracing::warn!("read the log of pod {}: {error}", pod.name_any()),
        }
    }
}

/// Keeps the findings of pods that cannot start and have not healed in their time. What a
/// container does once it runs is for the job's own retries to judge.
fn stuck(findings: Vec<Finding>, seen: &mut Vec<(String, Instant)>) -> Vec<Finding> {
    let starting: Vec<Finding> = findings
        .into_iter()
        .filter(|finding| finding.cause.keeps_from_starting())
        .collect();
    seen.retain(|(key, _)| starting.iter().any(|finding| finding.key() == *key));
    let mut stuck = Vec::new();
    for finding in starting {
        let key = finding.key();
        let known = seen.iter().find(|(known, _)| *known == key);
        let since = known.map(|(_, since)| since.elapsed());
        if since.is_none() {
            tracing::info!("{}", finding.text);
            seen.push((key, Instant::now()));
        }
        let since = since.unwrap_or_default();
        if finding.patience.is_some_and(|patience| since >= patience) {
            stuck.push(finding);
        }
    }
    stuck
}

fn has_started(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().any(|container| {
        container
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    })
}

fn exit_code(pod: &Pod) -> Option<i32> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let end = statuses.first()?.state.as_ref()?.terminated.as_ref()?;
    Some(end.exit_code)
}
