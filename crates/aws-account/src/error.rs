//! What can go wrong between here and an AWS account.

use std::error::Error;
use std::fmt;

use action_kit::{Failure, Reason};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

use crate::{Account, Identity};

/// An AWS service's answer that was no success, in the service's words.
#[derive(Debug)]
pub struct ServiceError {
    /// The service's code (`AccessDenied`, `ValidationError`), when it answered at all.
    pub code: Option<String>,
    /// What it said, or why there was no answer.
    pub message: String,
}

impl ServiceError {
    /// Says whether the service answered with this code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Error for ServiceError {}

impl<E, R> From<SdkError<E, R>> for ServiceError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        if let Some(answer) = error.as_service_error() {
            return Self {
                code: answer.code().map(String::from),
                message: answer
                    .message()
                    .map_or_else(|| answer.to_string(), String::from),
            };
        }
        let mut messages = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            messages.push(cause.to_string());
            source = cause.source();
        }
        messages.dedup();
        Self {
            code: None,
            message: messages.join(": "),
        }
    }
}

/// The account, or the cluster in it, cannot be used.
#[derive(Debug, Error)]
pub enum AccountError {
    /// No region is set anywhere.
    #[error("no AWS region is set")]
    NoRegion,
    /// There is no bundle of certificate authorities.
    #[error("no bundle of certificate authorities was found at {}", tried.join(", "))]
    NoCertificates {
        /// The paths that were tried.
        tried: Vec<String>,
    },
    /// The bundle cannot be used.
    #[error("read the certificate authorities of `{path}`")]
    Certificates {
        /// The bundle.
        path: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No credentials were found.
    #[error("find AWS credentials")]
    NoCredentials(#[source] Box<dyn Error + Send + Sync>),
    /// STS does not know who we are.
    #[error("ask STS who the credentials belong to")]
    Identity(#[source] ServiceError),
    /// The credentials belong to another account.
    #[error("the credentials belong to account {}, expected is {expected}", found.account)]
    OtherAccount {
        /// The account that was declared.
        expected: Account,
        /// Whose credentials they are.
        found: Identity,
    },
    /// The cluster cannot be described.
    #[error("describe the EKS cluster `{cluster}`")]
    Describe {
        /// The cluster.
        cluster: String,
        /// The answer.
        source: ServiceError,
    },
    /// The cluster cannot be reached yet.
    #[error("the EKS cluster `{cluster}` is {status} and has no endpoint")]
    NotReady {
        /// The cluster.
        cluster: String,
        /// Its status.
        status: String,
    },
    /// The request for a login at a registry cannot be signed.
    #[error("sign the request for a login at `{registry}`")]
    SignLogin {
        /// The registry.
        registry: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The token's request cannot be signed.
    #[error("sign the token for the EKS cluster `{cluster}`")]
    Sign {
        /// The cluster.
        cluster: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Failure for AccountError {
    fn reason(&self) -> Reason {
        match self {
            Self::NoRegion
            | Self::NoCertificates { .. }
            | Self::Certificates { .. }
            | Self::NoCredentials(_) => Reason::InvalidInput,
            Self::Identity(_) | Self::Describe { .. } | Self::NotReady { .. } => {
                Reason::RemoteFailed
            }
            Self::OtherAccount { .. } => Reason::Refused,
            Self::Sign { .. } | Self::SignLogin { .. } => Reason::Bug,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoRegion => "set the input `region`, or the variable AWS_REGION".into(),
            Self::NoCertificates { .. } => {
                "install `ca-certificates`, or name a bundle in AWS_CA_BUNDLE".into()
            }
            Self::Certificates { .. } => {
                "AWS_CA_BUNDLE and SSL_CERT_FILE name a file of PEM certificates".into()
            }
            Self::NoCredentials(_) => {
                "in a workflow run `aws-actions/configure-aws-credentials` first (with `permissions: \
                 id-token: write`); elsewhere set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY"
                    .into()
            }
            Self::Identity(_) => {
                "look whether the credentials have expired, and whether the endpoint \
                 (AWS_ENDPOINT_URL, or AWS itself) can be reached from here"
                    .into()
            }
            Self::OtherAccount { expected, found } => format!(
                "the run is `{}`: use credentials of account {expected}, or correct the declared \
                 account",
                found.arn
            ),
            Self::Describe { source, cluster } if source.is("ResourceNotFoundException") => {
                format!("apply the infrastructure that holds `{cluster}` first, or correct the name, region or account")
            }
            Self::Describe { .. } => "the role needs `eks:DescribeCluster`".into(),
            Self::NotReady { .. } => "run again when the cluster is ACTIVE".into(),
            Self::SignLogin { .. } => "look at the registry's name".into(),
            Self::Sign { .. } => "look at the cluster's name and the region".into(),
        };
        vec![hint]
    }
}
