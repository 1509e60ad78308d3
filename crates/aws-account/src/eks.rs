//! An EKS cluster's address and certificate authority.

use aws_config::SdkConfig;

use crate::{AccountError, ServiceError};

/// What a client needs to know of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The name.
    pub name: String,
    /// The resource name.
    pub arn: String,
    /// The API server's address.
    pub endpoint: String,
    /// Its certificate authority: PEM in base64.
    pub certificate_authority: String,
    /// The Kubernetes minor.
    pub version: String,
}

/// Describes a cluster that can be reached.
pub async fn describe_cluster(config: &SdkConfig, name: &str) -> Result<Cluster, AccountError> {
    let answer = aws_sdk_eks::Client::new(config)
        .describe_cluster()
        .name(name)
        .send()
        .await
        .map_err(|error| AccountError::Describe {
            cluster: name.into(),
            source: ServiceError::from(error),
        })?;
    let cluster = answer.cluster();
    let status = cluster.and_then(|cluster| cluster.status());
    let not_ready = || AccountError::NotReady {
        cluster: name.into(),
        status: status.map_or("not there", |status| status.as_str()).into(),
    };
    let cluster = cluster.ok_or_else(not_ready)?;
    let authority = cluster
        .certificate_authority()
        .and_then(|authority| authority.data());
    match (cluster.endpoint(), authority) {
        (Some(endpoint), Some(authority)) => Ok(Cluster {
            name: name.into(),
            arn: cluster.arn().unwrap_or_default().into(),
            endpoint: endpoint.into(),
            certificate_authority: authority.into(),
            version: cluster.version().unwrap_or_default().into(),
        }),
        _ => Err(not_ready()),
    }
}
