//! One release: the inputs, the way to the cluster, and Helm pointed to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use action_kit::{Context, Outcome, Report};
use cluster::{Cluster, ClusterError, Lease, Rollout, Tracked, Workload};

use crate::access::Access;
use crate::error::DeployError;
use crate::helm::{Helm, Wanted};
use crate::inputs::{Inputs, Name};
use crate::manifest::Objects;

/// Where the lease keeps the last revision that became ready.
const GOOD_REVISION: &str = "fastapi-eks-actions/good-revision";

/// What every mode works with.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) inputs: Inputs,
    pub(crate) context: Context,
    pub(crate) helm: Helm,
    pub(crate) release: Name,
    pub(crate) namespace: Name,
    /// The chart's archive, when it was fetched already.
    pub(crate) archive: Option<PathBuf>,
    access: Arc<Access>,
}

impl Session {
    /// Prepares Helm for a release of a cluster.
    pub(crate) fn open(
        access: Arc<Access>,
        release: Name,
        inputs: Inputs,
        context: Context,
    ) -> Result<Self, DeployError> {
        let namespace = match &inputs.namespace {
            Some(namespace) => namespace.clone(),
            None => access
                .cluster
                .default_namespace()
                .parse()
                .map_err(DeployError::Namespace)?,
        };
        let helm = Helm::new(
            &access.cluster,
            release.as_str(),
            namespace.as_str(),
            &context,
        )?;
        Ok(Self {
            inputs,
            context,
            helm,
            release,
            namespace,
            archive: None,
            access,
        })
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.access.cluster
    }

    pub(crate) fn wanted(&self) -> Result<Wanted, DeployError> {
        let scratch = self.helm.scratch();
        Wanted::new(
            &self.inputs,
            self.archive.as_deref(),
            &self.context,
            scratch,
        )
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.inputs.timeout_seconds)
    }

    /// Becomes the only run that changes the release.
    pub(crate) async fn lock(&self) -> Result<Lease, ClusterError> {
        let name = format!("helm-deploy-{}", self.release);
        Lease::acquire(
            self.cluster(),
            self.namespace.as_str(),
            &name,
            &self.run_id(),
        )
        .await
    }

    /// Gives the lease back; a run that succeeded stays successful when that fails, since the
    /// lease ends by itself.
    pub(crate) async fn unlock(&self, lease: Lease) {
        if let Err(error) = lease.release().await {
            tracing::warn!("{error}");
        }
    }

    fn run_id(&self) -> String {
        let environment = &self.context.environment;
        match environment.get("GITHUB_RUN_ID") {
            Some(run) => {
                let attempt = environment.get("GITHUB_RUN_ATTEMPT").unwrap_or("1");
                let job = environment.get("GITHUB_JOB").unwrap_or("job");
                let repository = environment.get("GITHUB_REPOSITORY").unwrap_or_default();
                // Two steps of one job never run at the same time; the process tells matrix jobs apart.
                format!("{repository}/{run}.{attempt}/{job}/{}", process())
            }
            None => format!(
                "{}/{}",
                environment.get("HOSTNAME").unwrap_or("laptop"),
                process()
            ),
        }
    }

    /// Follows the workloads among a release's objects.
    pub(crate) async fn track(
        &self,
        objects: &Objects,
        timeout: Duration,
    ) -> Result<Vec<Tracked>, ClusterError> {
        let namespace = self.namespace.as_str();
        let workloads: Vec<Workload> = objects
            .values()
            .filter_map(|object| Workload::of_manifest(object, namespace))
            .collect();
        let _group = self.context.console.group("rollout");
        self.cluster()
            .track(&Rollout::new(workloads, timeout))
            .await
    }

    /// Starts the report of a run that knows which revision is deployed.
    pub(crate) fn report(&self, outcome: Outcome, revision: Option<u32>) -> Report {
        let image = self.inputs.image.as_ref().map(ToString::to_string);
        let number = |revision: Option<u32>| {
            revision
                .map(|number| number.to_string())
                .unwrap_or_default()
        };
        Report::new(outcome)
            .output("release", self.release.as_str())
            .output("namespace", self.namespace.as_str())
            .output("revision", number(revision))
            .output("image", image.unwrap_or_default())
    }
}

/// Tells this process from others on other machines: its number and the time it asked.
fn process() -> String {
    let now = jiff::Timestamp::now().as_millisecond();
    format!("{}-{now}", std::process::id())
}

/// Gives the last revision that is known to have become ready: `Some(0)` when none has.
pub(crate) fn good_revision(lease: &Lease) -> Option<u32> {
    lease.annotations.get(GOOD_REVISION)?.parse().ok()
}

/// Remembers the last revision that became ready.
pub(crate) async fn remember_good(lease: &mut Lease, revision: u32) -> Result<(), ClusterError> {
    lease.annotate(GOOD_REVISION, &revision.to_string()).await
}

/// What is left of a time limit.
pub(crate) fn left(timeout: Duration, started: Instant) -> Duration {
    timeout
        .saturating_sub(started.elapsed())
        .max(Duration::from_secs(1))
}
