//! Why Kubernetes is not upgraded.

use thiserror::Error;

use super::listed;
use crate::config::KubernetesVersion;

/// The cluster cannot go from its Kubernetes minor to the declared one.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// A minor would be left out.
    #[error(
        "`kubernetes-version` is {declared}, the cluster `{cluster}` has {live}: it goes one minor \
         at a time"
    )]
    TooFar {
        /// The cluster.
        cluster: String,
        /// What it has.
        live: KubernetesVersion,
        /// What the file says.
        declared: KubernetesVersion,
    },
    /// The cluster is newer.
    #[error(
        "`kubernetes-version` is {declared}, the cluster `{cluster}` has {live}: nothing here goes \
         back"
    )]
    Backwards {
        /// The cluster.
        cluster: String,
        /// What it has.
        live: KubernetesVersion,
        /// What the file says.
        declared: KubernetesVersion,
    },
    /// Something would not work afterwards.
    #[error(
        "the cluster `{cluster}` is not ready for Kubernetes {declared}{}",
        listed(objections)
    )]
    NotReady {
        /// The cluster.
        cluster: String,
        /// What the file says.
        declared: KubernetesVersion,
        /// What would not work.
        objections: Vec<String>,
    },
}

impl UpgradeError {
    /// Says what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::TooFar { live, declared, .. } => format!(
                "set `kubernetes-version: \"1.{}\"`, apply that, and go on to {declared} from there",
                live.minor() + 1
            ),
            Self::Backwards { live, .. } => format!(
                "set `kubernetes-version: \"{live}\"`; EKS takes the control plane's last upgrade back \
                 within seven days (`aws eks update-cluster-version`), nodes and add-ons first"
            ),
            Self::NotReady { .. } => {
                "`mode: doctor` says what to do about each; EKS looks again once a day, or when \
                 its insights are refreshed in the console"
                    .into()
            }
        }
    }
}
