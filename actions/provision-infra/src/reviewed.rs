//! Whether somebody reviewed what `apply` is about to do: on the pull request that was merged, or
//! when the job waited for its environment's reviewers.

use std::fmt;

use action_kit::{Environment, Secret};
use github::{GitHubError, Header, Reviews, Run};
use serde::Serialize;

use crate::error::InfraError;

/// Who let a plan pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// The reviewers of the pull request, to whom a comment showed it.
    PullRequest {
        /// Where the comment stands.
        comment: String,
    },
    /// A reviewer of the environment, to whom the run showed it.
    Environment {
        /// The reviewer's login.
        by: String,
    },
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullRequest { comment } => {
                write!(f, "the merged pull request showed this plan: {comment}")
            }
            Self::Environment { by } => write!(f, "{by} approved this plan"),
        }
    }
}

/// Gives where to ask for the reviews before this run; nothing is asked yet.
pub fn reviews(environment: &Environment, token: Option<&Secret>) -> Result<Reviews, InfraError> {
    let run = Run::of(environment).ok_or(InfraError::NoRun)?;
    let token = token.ok_or(GitHubError::NoToken)?;
    Ok(Reviews::new(run, token)?)
}

/// A plan that must have been reviewed.
#[derive(Clone, Debug)]
pub struct Demand<'a> {
    /// How the comment on the pull request would begin, were it the same plan.
    pub header: Header,
    /// The environment, as GitHub knows it.
    pub environment: &'a str,
    /// Whether the run made this plan before its job waited for reviewers (`plan-digest`). Without
    /// that nobody knows what they approved.
    pub announced: bool,
}

impl Demand<'_> {
    /// Gives who reviewed the plan, or refuses.
    pub async fn meet(&self, reviews: &Reviews) -> Result<Approval, InfraError> {
        let found = &self.header.digest;
        let shown = reviews.merged_plan(&self.header).await?;
        if let Some(shown) = &shown
            && shown.digest == *found
        {
            return Ok(Approval::PullRequest {
                comment: shown.url.clone(),
            });
        }
        if self.announced
            && let Some(by) = reviews.approver(self.environment).await?
        {
            return Ok(Approval::Environment { by });
        }
        let (found, environment) = (found.clone(), self.environment.to_owned());
        Err(match shown {
            Some(shown) => InfraError::NotAsShown {
                found,
                shown: shown.digest,
                url: shown.url,
                environment,
            },
            None => InfraError::NotReviewed { found, environment },
        })
    }
}
