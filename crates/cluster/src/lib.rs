//! A Kubernetes cluster, whoever made it: a client, server-side apply, one writer at a time,
//! rollouts that are followed until they are ready, and a plain reason when they are not.
//!
//! [`diagnose`](diagnosis::diagnose) and the readiness of each kind of workload are pure functions over what the
//! API server said; everything else here does the asking. Progress goes to `tracing` as `info`.
//!
//! ```no_run
//! use std::time::Duration;
//! use cluster::{Cluster, Rollout, Workload, WorkloadKind};
//!
//! # async fn example() -> Result<(), cluster::ClusterError> {
//! let cluster = Cluster::from_kubeconfig("target/e2e/kubeconfig", None).await?;
//! cluster.ensure_namespace("orders").await?;
//! let workloads = vec![Workload::new(WorkloadKind::Deployment, "orders", "orders")];
//! let rollout = Rollout::new(workloads, Duration::from_secs(300));
//! cluster.track(&rollout).await?;
//! # Ok(())
//! # }
//! ```

mod apply;
mod attempt;
mod connect;
pub mod diagnosis;
mod error;
mod job;
mod lease;
mod rollout;
mod workload;

pub use apply::{Applied, parse_manifests};
pub use attempt::{Attempt, Conflict, Refusal, Trial, at_field};
pub use connect::Cluster;
pub use diagnosis::{Cause, Finding, Observed, diagnose};
pub use error::{ClusterError, ErrorKind};
pub use job::JobEnd;
pub use lease::Lease;
pub use rollout::{Rollout, Tracked};
pub use workload::{Progress, Workload, WorkloadKind};
