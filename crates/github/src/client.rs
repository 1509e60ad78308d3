//! Comments of a pull request, through `octocrab`.

use std::time::Duration;

use action_kit::Secret;
use octocrab::{Error, Octocrab, Page};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::retry::{Answer, wait};
use crate::{Comment, GitHubError, Header, PullRequest};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The most that the API gives at once.
const PER_PAGE: u8 = 100;

/// A pull request on GitHub, with the right of a token.
#[derive(Clone, Debug)]
pub struct GitHub {
    rest: Octocrab,
    graphql: Octocrab,
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
#[derive(Deserialize)]
struct Found {
    id: u64,
    html_url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

/// An attempt failed: what was being done, and why not.
struct Attempt {
    doing: &'static str,
    error: Error,
}

impl GitHub {
    /// Makes a client; nothing is sent yet.
    pub fn new(pull_request: PullRequest, token: &Secret) -> Result<Self, GitHubError> {
        // Fails when another part of the process installed a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |base: &str| {
            Octocrab::builder()
                .base_uri(base)
                .and_then(|builder| {
                    builder
                        .user_access_token(token.expose())
                        .set_connect_timeout(Some(TIMEOUT))
                        .set_read_timeout(Some(TIMEOUT))
                        .build()
                })
                .map_err(|source| GitHubError::Client {
                    api: base.into(),
                    source: source.into(),
                })
        };
        Ok(Self {
            rest: client(&pull_request.api)?,
            graphql: client(pull_request.graphql_base())?,
            pull_request,
        })
    }

    /// Writes a comment: changes the one that an earlier run left, or posts it.
    ///
    /// Each attempt looks for that one first. An answer that got lost after the comment was posted
    /// does not make a second one.
    pub async fn write(&self, comment: &Comment) -> Result<Shown, GitHubError> {
        for attempt in 1.. {
            match self.try_to_write(comment).await {
                Ok(shown) => return Ok(shown),
                Err(Attempt { doing, error }) => {
                    let answer = Answer::of(&error);
                    let now = jiff::Timestamp::now().as_second();
                    let Some(wait) = wait(answer.as_ref(), attempt, now) else {
                        return Err(self.describe(doing, answer.as_ref(), &error));
                    };
                    tracing::info!(
                        "{doing}: attempt {attempt} failed ({}), trying again in {:.1} s",
                        message(answer.as_ref(), &error),
                        wait.as_secs_f32()
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn try_to_write(&self, comment: &Comment) -> Result<Shown, Attempt> {
        let body = json!({ "body": comment.text });
        let repository = &self.pull_request.repository;
        let Some(earlier) = self.find(&comment.header).await? else {
            let route = self.comments();
            let posted = self.rest.post(route, Some(&body)).await;
            return shown(posted, "post the comment", Written::Posted);
        };
        if earlier.body.as_deref() == Some(comment.text.as_str()) {
            return shown(Ok(earlier), "read the comment", Written::Unchanged);
        }
        let route = format!("/repos/{repository}/issues/comments/{}", earlier.id);
        let updated = self.rest.patch(route, Some(&body)).await;
        shown(updated, "update the comment", Written::Updated)
    }

    /// Finds the comment that an earlier run with this token's user left. A header in somebody
    /// else's comment means nothing: anybody may write one.
    async fn find(&self, header: &Header) -> Result<Option<Found>, Attempt> {
        let mut candidates = Vec::new();
        for number in 1_u32.. {
            let parameters = json!({ "per_page": PER_PAGE, "page": number });
            let page: Page<Found> = self
                .rest
                .get(self.comments(), Some(&parameters))
                .await
                .map_err(|error| Attempt {
                    doing: "list the pull request's comments",
                    error,
                })?;
            candidates.extend(page.items.into_iter().filter(|found| {
                let found = found.body.as_deref().and_then(Header::parse);
                found.is_some_and(|found| header.is_same_comment(&found))
            }));
            if page.next.is_none() {
                break;
            }
        }
        if candidates.is_empty() {
            return Ok(None);
        }
        let own = self.login().await?;
        Ok(candidates.into_iter().find(|found| {
            let user = found.user.as_ref();
            user.is_some_and(|user| user.login.eq_ignore_ascii_case(&own))
        }))
    }

    /// Asks whose token it is. The REST API tells this to people's tokens only.
    async fn login(&self) -> Result<String, Attempt> {
        let doing = "ask whose token it is";
        let query = json!({ "query": "query { viewer { login } }" });
        let answer: Result<Value, Error> = self.graphql.graphql(&query).await;
        let answer = answer.map_err(|error| Attempt { doing, error })?;
        let login = answer["viewer"]["login"].as_str();
        Ok(login.unwrap_or_default().to_owned())
    }

    fn comments(&self) -> String {
        let PullRequest {
            repository, number, ..
        } = &self.pull_request;
        format!("/repos/{repository}/issues/{number}/comments")
    }

    fn describe(&self, doing: &str, answer: Option<&Answer>, error: &Error) -> GitHubError {
        let PullRequest {
            repository, number, ..
        } = &self.pull_request;
        let doing = format!("{doing} on {repository}#{number}");
        let message = message(answer, error);
        match answer {
            Some(Answer { status, .. }) => GitHubError::Refused {
                doing,
                status: *status,
                message,
            },
            None => GitHubError::Remote { doing, message },
        }
    }
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

/// Says in one line what came of a request.
fn message(answer: Option<&Answer>, error: &Error) -> String {
    let text = answer.map_or_else(|| error.to_string(), |answer| answer.message.clone());
    text.lines().next().unwrap_or_default().to_owned()
}
