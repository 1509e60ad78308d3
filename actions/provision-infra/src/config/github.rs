//! Whose workflows may manage an environment.

use serde::Deserialize;

use super::names::{Branch, Repository};

/// The repository whose workflows may manage the environments.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Github {
    /// The repository.
    pub repository: Repository,
    /// The numbers in the subjects of its tokens.
    pub ids: Option<Ids>,
    /// The branch whose workflows may plan.
    #[serde(default)]
    pub branch: Branch,
}

/// The numbers that a repository and its owner keep when they are renamed. GitHub puts them into
/// the subjects of tokens of repositories that were made since July 2026.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ids {
    /// The owner's.
    pub owner: u64,
    /// The repository's.
    pub repository: u64,
}

impl Github {
    /// Gives how the subjects of the repository's tokens begin.
    #[must_use]
    pub fn subject(&self) -> String {
        let repository = self.repository.as_str();
        match (self.ids, repository.split_once('/')) {
            (Some(ids), Some((owner, name))) => {
                format!("repo:{owner}@{}/{name}@{}", ids.owner, ids.repository)
            }
            _ => format!("repo:{repository}"),
        }
    }
}
