//! What stands before an environment.

use serde::Deserialize;

use super::names::Arn;

/// What stands before an environment; one without it has no load balancer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Edge {
    /// The certificate of ACM, in the environment's region, that clients are shown.
    pub certificate_arn: Arn,
}
