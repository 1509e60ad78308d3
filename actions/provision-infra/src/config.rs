//! `infrastructure.yaml`: what people write about their environments, checked where it is read.

mod add_ons;
mod alerts;
mod backup;
mod edge;
mod github;
mod names;
mod nodes;
#[cfg(test)]
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use action_kit::{Failure, Position, Reason};
use aws_account::Account;
use serde::Deserialize;
use thiserror::Error;

pub use add_ons::AddOns;
pub use alerts::{Alerts, Recipients};
pub use backup::{Backup, Replica};
pub use edge::{Edge, Shown, Zone};
pub use github::{Github, Ids};
pub use names::{
    AddOnVersion, Arn, Branch, Cidr, Days, DomainName, EntryNetwork, EnvironmentName,
    GithubEnvironment, KubernetesVersion, ProjectName, Recipient, RegionName, Repository, Size,
    VpcCidr, ZoneId, Zones,
};
pub use nodes::{AllowList, ApplicationNodes, BastionNodes, DatabaseNodes, InstanceTypes, Nodes};

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Configuration {
    /// Prefix of every name.
    pub project: ProjectName,
    /// The region, unless an environment has its own.
    pub region: Option<RegionName>,
    /// The account, unless an environment has its own.
    #[cfg_attr(test, schemars(with = "Option<schema::AccountNumber>"))]
    pub account: Option<Account>,
    /// Whose workflows may manage the environments.
    pub github: Option<Github>,
    /// The environments.
    pub environments: BTreeMap<EnvironmentName, Settings>,
}

/// How one environment differs from the others.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The region.
    pub region: Option<RegionName>,
    /// The account.
    #[cfg_attr(test, schemars(with = "Option<schema::AccountNumber>"))]
    pub account: Option<Account>,
    /// The network.
    #[serde(default)]
    pub cidr: VpcCidr,
    /// Three availability zones; by default the region's first three.
    pub zones: Option<Zones>,
    /// NAT gateways.
    #[serde(default)]
    pub nat: Nat,
    /// The Kubernetes minor.
    #[serde(default)]
    pub kubernetes_version: KubernetesVersion,
    /// The machines.
    #[serde(default)]
    pub nodes: Nodes,
    /// The versions of the cluster's add-ons.
    #[serde(default)]
    pub add_ons: AddOns,
    /// What stands before it; by default nothing does.
    pub edge: Option<Edge>,
    /// Who reaches the API server.
    #[serde(default)]
    pub endpoint_access: EndpointAccess,
    /// Whether EKS refuses to delete the cluster.
    #[serde(default)]
    pub deletion_protection: bool,
    /// How long flow logs and the control plane's logs are kept.
    pub log_retention_days: Option<u16>,
    /// Who is told of alerts.
    #[serde(default)]
    pub alerts: Alerts,
    /// How backups are kept.
    #[serde(default)]
    pub backup: Backup,
    /// How many images are kept.
    pub image_count: Option<u16>,
    /// The repository's environment whose jobs may apply; by default that of the same name.
    pub github_environment: Option<GithubEnvironment>,
    /// The account's identity provider for GitHub, when something else has made it.
    pub github_provider_arn: Option<Arn>,
    /// Who may assume the cluster's administrator role.
    pub administrator_principal_arn: Option<String>,
    /// Who may assume the cluster's deploy role.
    pub deploy_principal_arn: Option<String>,
}

/// How many NAT gateways there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// One in each zone.
    #[default]
    PerZone,
    /// One for all: cheaper, and gone with its zone.
    Single,
}

/// Who reaches the API server.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EndpointAccess {
    /// Networks that may reach the public endpoint; none closes it.
    #[serde(default)]
    pub public: Vec<Cidr>,
}

/// One environment, with everything that the file says about it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Prefix of every name.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The region.
    pub region: RegionName,
    /// The account, when it is declared.
    pub account: Option<Account>,
    /// Whose workflows may manage it, when that is declared.
    pub github: Option<Github>,
    /// The rest.
    pub settings: Settings,
}

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("read `{}`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{}: {message}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The line.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// No environment is named, and there is a choice.
    #[error("no environment is named, and `{}` has {}", file.display(), known.join(", "))]
    UnnamedEnvironment {
        /// The file.
        file: PathBuf,
        /// What there is.
        known: Vec<String>,
    },
    /// An environment is named that the file does not have.
    #[error("`{}` has no environment `{wanted}`; it has {}", file.display(), known.join(", "))]
    UnknownEnvironment {
        /// The file.
        file: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No region is declared.
    #[error("`{}` declares no region for `{environment}`", file.display())]
    NoRegion {
        /// The file.
        file: PathBuf,
        /// The environment.
        environment: EnvironmentName,
    },
    /// The file does not say whose workflows are to be trusted.
    #[error("`{}` names no repository whose workflows may manage `{environment}`", file.display())]
    NoRepository {
        /// The file.
        file: PathBuf,
        /// The environment.
        environment: EnvironmentName,
    },
    /// An input contradicts the file.
    #[error("the input `{input}` is {given}, `{}` declares {declared}", file.display())]
    Contradiction {
        /// The input.
        input: &'static str,
        /// Its value.
        given: String,
        /// The file's value.
        declared: String,
        /// The file.
        file: PathBuf,
    },
}

impl Failure for ConfigError {
    fn reason(&self) -> Reason {
        match self {
            Self::Contradiction { .. } => Reason::Refused,
            _ => Reason::InvalidInput,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unreadable { .. } => {
                "name the file with the input `config`; it begins with `project:`, `region:`, \
                 `account:` and `environments:`"
            }
            Self::Invalid { .. } => "the README of provision-infra shows a complete file",
            Self::UnnamedEnvironment { known, .. } if known.is_empty() => {
                "add one below `environments:`"
            }
            Self::UnnamedEnvironment { .. } | Self::UnknownEnvironment { .. } => {
                "set the input `environment` to one of these"
            }
            Self::NoRegion { .. } => "add `region:` to the file",
            Self::NoRepository { .. } => {
                "add `github:` with `repository: <owner>/<name>` to the file"
            }
            Self::Contradiction { .. } => {
                "leave the input out, or correct the file: the file is what was reviewed"
            }
        };
        vec![hint.into()]
    }

    fn position(&self) -> Option<Position> {
        match self {
            Self::Invalid { file, line, .. } => Some(Position {
                file: file.clone(),
                line: *line,
            }),
            _ => None,
        }
    }
}

impl Target {
    /// Gives the GitHub environment whose jobs may change this one.
    #[must_use]
    pub fn github_environment(&self) -> &str {
        let other = self.settings.github_environment.as_ref();
        other.map_or(self.environment.as_str(), |other| other.as_str())
    }

    /// Picks an environment out of a file's text; `file` is its name in messages. The only
    /// environment need not be named.
    pub fn parse(
        text: &str,
        file: &Path,
        environment: Option<&EnvironmentName>,
    ) -> Result<Self, ConfigError> {
        let configuration: Configuration = serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map(|location| location.line());
            ConfigError::Invalid {
                file: file.into(),
                line,
                message: error.without_snippet().to_string(),
            }
        })?;
        let Configuration {
            project,
            region,
            account,
            github,
            mut environments,
        } = configuration;
        let known: Vec<String> = environments.keys().map(ToString::to_string).collect();
        let name = match (environment, environments.keys().next()) {
            (Some(name), _) => name.clone(),
            (None, Some(only)) if environments.len() == 1 => only.clone(),
            _ => {
                return Err(ConfigError::UnnamedEnvironment {
                    file: file.into(),
                    known,
                });
            }
        };
        let settings =
            environments
                .remove(&name)
                .ok_or_else(|| ConfigError::UnknownEnvironment {
                    file: file.into(),
                    wanted: name.to_string(),
                    known,
                })?;
        let region = settings.region.clone().or(region);
        Ok(Self {
            project,
            region: region.ok_or_else(|| ConfigError::NoRegion {
                file: file.into(),
                environment: name.clone(),
            })?,
            account: settings.account.clone().or(account),
            github,
            environment: name,
            settings,
        })
    }

    /// Refuses inputs that contradict the file, and takes the account from them when the file
    /// declares none.
    pub fn guard(
        mut self,
        file: &Path,
        region: Option<&str>,
        account: Option<&Account>,
    ) -> Result<Self, ConfigError> {
        let contradiction = |input, given: String, declared: String| ConfigError::Contradiction {
            input,
            given,
            declared,
            file: file.into(),
        };
        if let Some(region) = region
            && region != self.region.as_str()
        {
            return Err(contradiction(
                "region",
                region.into(),
                self.region.to_string(),
            ));
        }
        match (account, &self.account) {
            (Some(given), Some(declared)) if given != declared => Err(contradiction(
                "account",
                given.to_string(),
                declared.to_string(),
            )),
            (Some(given), None) => {
                self.account = Some(given.clone());
                Ok(self)
            }
            _ => Ok(self),
        }
    }

    /// Gives the prefix of the stacks' names: `<project>-<environment>`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.project, self.environment)
    }
}
