//! What can go wrong between here and a cluster, and what to do about it.

use std::time::Duration;

use thiserror::Error;

use crate::diagnosis::Finding;

/// What sort of thing went wrong, for an action to choose its exit status by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Something that the user gave cannot be used.
    Input,
    /// The cluster refused or broke.
    Remote,
    /// Another run holds the lease.
    Locked,
    /// What was deployed does not become ready.
    NotReady,
    /// The deadline passed and nothing is known to be wrong.
    TimedOut,
}

/// Something went wrong between here and a cluster.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// The kubeconfig cannot be used.
    #[error("read the kubeconfig {origin}")]
    Kubeconfig {
        /// Where it came from.
        origin: String,
        /// Why.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// The client cannot be made from the kubeconfig.
    #[error("make a client for the cluster at {server}")]
    Client {
        /// The API server.
        server: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server refused a request.
    #[error("{doing}: {message}")]
    Refused {
        /// What was being done.
        doing: String,
        /// What the API server said.
        message: String,
        /// The HTTP status.
        code: u16,
    },
    /// The API server did not answer.
    #[error("{doing}")]
    Unreachable {
        /// What was being done.
        doing: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// A manifest is no YAML.
    #[error("parse {what} as YAML")]
    NotYaml {
        /// The manifests' origin.
        what: String,
        /// Where and why.
        #[source]
        source: serde_yaml::Error,
    },
    /// A manifest lacks what every object has.
    #[error("{what} holds an object without {missing}")]
    NoObject {
        /// The manifests' origin.
        what: String,
        /// The field.
        missing: &'static str,
    },
    /// The cluster does not know a kind.
    #[error("the cluster does not know the kind `{kind}` of `{api_version}` (object `{name}`)")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// Its group and version.
        api_version: String,
        /// The object that needs it.
        name: String,
    },
    /// A CRD was applied and is not served.
    #[error("the custom resource definition `{name}` is not served after {after:?}")]
    CrdNotServed {
        /// The definition.
        name: String,
        /// How long was waited.
        after: Duration,
    },
    /// Another run holds the lease.
    #[error("the lease `{namespace}/{name}` is held by `{holder}`")]
    Held {
        /// The namespace.
        namespace: String,
        /// The lease.
        name: String,
        /// Who holds it.
        holder: String,
    },
    /// What was deployed does not become ready, and will not.
    #[error("{}", not_ready(findings))]
    NotReady {
        /// The causes, the most telling first.
        findings: Vec<Finding>,
    },
    /// The deadline passed.
    #[error("not ready after {} s: {}", after.as_secs(), timed_out(waiting, findings))]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// What was still waited for, and how far it was.
        waiting: Vec<String>,
        /// What looks wrong, the most telling first.
        findings: Vec<Finding>,
    },
}

impl ClusterError {
    /// Wraps an error of the client, with what was being done.
    #[must_use]
    pub fn of(doing: impl Into<String>, error: kube::Error) -> Self {
        let doing = doing.into();
        match error {
            kube::Error::Api(status) => Self::Refused {
                doing,
                message: if status.message.is_empty() {
                    format!("HTTP {}", status.code)
                } else {
                    status.message.clone()
                },
                code: status.code,
            },
            source => Self::Unreachable {
                doing,
                source: Box::new(source),
            },
        }
    }

    /// Says what sort of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Kubeconfig { .. }
            | Self::Client { .. }
            | Self::NotYaml { .. }
            | Self::NoObject { .. } => ErrorKind::Input,
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::UnknownKind { .. }
            | Self::CrdNotServed { .. } => ErrorKind::Remote,
            Self::Held { .. } => ErrorKind::Locked,
            Self::TimedOut { findings, .. } if findings.is_empty() => ErrorKind::TimedOut,
            Self::NotReady { .. } | Self::TimedOut { .. } => ErrorKind::NotReady,
        }
    }

    /// Gives next steps, each a sentence.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Kubeconfig { .. } => {
                "`kubeconfig` is the path of a kubeconfig file, or its whole content"
            }
            Self::Client { .. } => {
                "check the certificates and credentials in the kubeconfig; the action's image holds no `aws` program: \
                 give `cluster` and `region` for EKS instead of a kubeconfig that runs one"
            }
            Self::Refused { code: 401, .. } => {
                "the cluster does not know these credentials: they may have expired, or EKS has no access entry for this role"
            }
            Self::Refused { code: 403, .. } => {
                "grant the permission that the message names to this user by a Role or an EKS access policy"
            }
            Self::Refused { code: 409, .. } => {
                "another field manager owns the field: take it out of one of the two, or leave it to its owner"
            }
            Self::Refused { .. } => return Vec::new(),
            Self::Unreachable { .. } => {
                "check that the API server's address can be reached from this runner (a private endpoint needs a runner in the VPC)"
            }
            Self::NotYaml { .. } | Self::NoObject { .. } => {
                "render the chart with `helm template` and look at what it gives"
            }
            Self::UnknownKind { .. } => {
                "install the operator or the CRDs that define it first; `kubectl api-resources` lists what is there"
            }
            Self::CrdNotServed { .. } => {
                "`kubectl describe crd` tells which condition does not hold"
            }
            Self::Held { .. } => {
                "wait until that run is over and run again; a run that died loses its lease by itself after a few seconds"
            }
            Self::NotReady { findings } | Self::TimedOut { findings, .. } => {
                let mut hints: Vec<String> = Vec::new();
                for finding in findings {
                    if !hints.contains(&finding.hint) {
                        hints.push(finding.hint.clone());
                    }
                }
                if hints.is_empty() {
                    hints.push(
                        "raise `timeout-seconds` if the application needs longer to start".into(),
                    );
                }
                return hints;
            }
        };
        vec![hint.into()]
    }
}

fn not_ready(findings: &[Finding]) -> String {
    let texts: Vec<&str> = findings
        .iter()
        .map(|finding| finding.text.as_str())
        .collect();
    texts.join("; ")
}

fn timed_out(waiting: &[String], findings: &[Finding]) -> String {
    if findings.is_empty() {
        waiting.join("; ")
    } else {
        format!("{} ({})", not_ready(findings), waiting.join("; "))
    }
}
