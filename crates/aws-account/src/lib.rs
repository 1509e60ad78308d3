//! An AWS account as the actions see it: a session, the guard against the wrong account, and the
//! way into an EKS cluster.
//!
//! Every session is checked before anything else happens: a region, a bundle of certificate
//! authorities (unless the endpoint is plain HTTP) and credentials are there, or the run ends with
//! a message that says which of them is missing. No `aws` program is needed: EKS tokens and ECR
//! logins are signed here.

mod ecr;
mod eks;
mod error;
mod identity;
mod kubeconfig;
mod session;
mod token;

pub use aws_config::{Region, SdkConfig};
pub use aws_credential_types::Credentials;
pub use ecr::{EcrHost, SignedRequest};
pub use eks::{Cluster, describe_cluster};
pub use error::{AccountError, ServiceError};
pub use identity::{Account, AccountParseError, Identity};
pub use kubeconfig::{Login, kubeconfig};
pub use session::{Session, credentials};
pub use token::{Token, exec_credential, token};
