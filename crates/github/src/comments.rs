//! Comments of a pull request: found, posted, updated.

use action_kit::Secret;
use octocrab::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Attempt, Client};
use crate::{Comment, GitHubError, Header, PullRequest};

/// A pull request on GitHub, with the right of a token.
#[derive(Clone, Debug)]
pub struct GitHub {
    client: Client,
    pull_request: PullRequest,
}

/// What became of a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// It is new.
    Posted,
    /// An earlier one has another text now.
    Updated,
    /// An earlier one has this text.
    Unchanged,
}

/// A comment that stands on the pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its address for people.
    pub url: String,
    /// How it came there.
    pub written: Written,
}

/// A comment, as far as we look at it. Octocrab's own type demands more, an author among it, whom
/// the API may leave out.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Found {
    pub(crate) id: u64,
    pub(crate) node_id: String,
    pub(crate) html_url: String,
    pub(crate) updated_at: String,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) user: Option<User>,
    #[serde(default)]
    pub(crate) performed_via_github_app: Option<App>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) login: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct App {
    #[serde(default)]
    pub(crate) slug: Option<String>,
}

impl Found {
    /// Gives the header, when it is a comment of ours, or of somebody who pretends it.
    pub(crate) fn header(&self) -> Option<Header> {
        self.body.as_deref().and_then(Header::parse)
    }

    /// Says whether a user wrote it.
    pub(crate) fn is_of(&self, login: &str) -> bool {
        let user = self.user.as_ref();
        user.is_some_and(|user| user.login.eq_ignore_ascii_case(login))
    }
}

impl GitHub {
    /// Makes a client; nothing is sent yet.
    pub fn new(pull_request: PullRequest, token: &Secret) -> Result<Self, GitHubError> {
        let place = format!("{}#{}", pull_request.repository, pull_request.number);
        let client = Client::new(&pull_request.api, place, "pull-requests: write", token)?;
        Ok(Self {
            client,
            pull_request,
        })
    }

    /// Writes a comment: changes the one that an earlier run left, or posts it.
    ///
    /// Each attempt looks for that one first. An answer that got lost after the comment was posted
    /// does not make a second one.
    pub async fn write(&self, comment: &Comment) -> Result<Shown, GitHubError> {
        self.client
            .insist(async || self.try_to_write(comment).await)
            .await
    }

    async fn try_to_write(&self, comment: &Comment) -> Result<Shown, Attempt> {
        let body = json!({ "body": comment.text });
        let PullRequest {
            repository, number, ..
        } = &self.pull_request;
        let comments = comments_of(repository, *number);
        let Some(earlier) = self.find(&comments, &comment.header).await? else {
            let posted = self.client.rest.post(comments, Some(&body)).await;
            return shown(posted, "post the comment", Written::Posted);
        };
        if earlier.body.as_deref() == Some(comment.text.as_str()) {
            return shown(Ok(earlier), "read the comment", Written::Unchanged);
        }
        let route = format!("/repos/{repository}/issues/comments/{}", earlier.id);
        let updated = self.client.rest.patch(route, Some(&body)).await;
        shown(updated, "update the comment", Written::Updated)
    }

    /// Finds the comment that an earlier run with this token's user left. A header in somebody
    /// else's comment means nothing: anybody may write one.
    async fn find(&self, comments: &str, header: &Header) -> Result<Option<Found>, Attempt> {
        let found = list(&self.client, comments, header).await?;
        if found.is_empty() {
            return Ok(None);
        }
        let own = self.login().await?;
        Ok(found.into_iter().find(|found| found.is_of(&own)))
    }

    /// Asks whose token it is. The REST API tells this to people's tokens only.
    async fn login(&self) -> Result<String, Attempt> {
        let query = json!({ "query": "query { viewer { login } }" });
        let answer: Value = self.client.ask(&query, "ask whose token it is").await?;
        let login = answer["viewer"]["login"].as_str();
        Ok(login.unwrap_or_default().to_owned())
    }
}

/// Gives the route of a pull request's comments.
pub(crate) fn comments_of(repository: &str, number: u64) -> String {
    format!("/repos/{repository}/issues/{number}/comments")
}

/// Gives the comments that say of themselves to be the one with a header.
pub(crate) async fn list(
    client: &Client,
    comments: &str,
    header: &Header,
) -> Result<Vec<Found>, Attempt> {
    let doing = "list the pull request's comments";
    let mut found: Vec<Found> = client.all(comments, doing).await?;
    found.retain(|found| {
        let found = found.header();
        found.is_some_and(|found| header.is_same_comment(&found))
    });
    Ok(found)
}

fn shown(
    found: Result<Found, Error>,
    doing: &'static str,
    written: Written,
) -> Result<Shown, Attempt> {
    let found = found.map_err(|error| Attempt { doing, error })?;
    Ok(Shown {
        url: found.html_url,
        written,
    })
}
