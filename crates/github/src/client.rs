//! The API, through `octocrab`: what is tried again, and how a failure is told.

use std::time::Duration;

use action_kit::Secret;
use octocrab::{Error, Octocrab, Page};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::GitHubError;
use crate::retry::{Answer, wait};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The most that the API gives at once.
const PER_PAGE: u8 = 100;

/// A client with the right of a token.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) rest: Octocrab,
    graphql: Octocrab,
    /// What is worked on, as a failure names it.
    place: String,
    /// The permissions that the token needs.
    rights: &'static str,
}

/// An attempt failed: what was being done, and why not.
pub(crate) struct Attempt {
    pub(crate) doing: &'static str,
    pub(crate) error: Error,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    pub(crate) fn new(
        api: &str,
        place: String,
        rights: &'static str,
        token: &Secret,
    ) -> Result<Self, GitHubError> {
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
            rest: client(api)?,
            graphql: client(graphql_base(api))?,
            place,
            rights,
        })
    }

    /// Makes attempts until one succeeds or another would not help.
    pub(crate) async fn insist<T>(
        &self,
        attempt: impl AsyncFn() -> Result<T, Attempt>,
    ) -> Result<T, GitHubError> {
        for number in 1.. {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(Attempt { doing, error }) => {
                    let answer = Answer::of(&error);
                    let now = jiff::Timestamp::now().as_second();
                    let Some(wait) = wait(answer.as_ref(), number, now) else {
                        return Err(self.describe(doing, answer.as_ref(), &error));
                    };
                    tracing::info!(
                        "{doing}: attempt {number} failed ({}), trying again in {:.1} s",
                        message(answer.as_ref(), &error),
                        wait.as_secs_f32()
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Gives a list, all pages of it.
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        route: &str,
        doing: &'static str,
    ) -> Result<Vec<T>, Attempt> {
        let mut items = Vec::new();
        for number in 1_u32.. {
            // Texts: a number of `serde_json` cannot be encoded where another crate of the program
            // has it keep every digit.
            let parameters = [
                ("per_page", PER_PAGE.to_string()),
                ("page", number.to_string()),
            ];
            let page = self.rest.get(route, Some(&parameters)).await;
            let page: Page<T> = page.map_err(|error| Attempt { doing, error })?;
            items.extend(page.items);
            if page.next.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// Asks the GraphQL API; gives the data.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        query: &Value,
        doing: &'static str,
    ) -> Result<T, Attempt> {
        let answer = self.graphql.graphql(query).await;
        answer.map_err(|error| Attempt { doing, error })
    }

    fn describe(&self, doing: &str, answer: Option<&Answer>, error: &Error) -> GitHubError {
        let doing = format!("{doing} on {}", self.place);
        let message = message(answer, error);
        match answer {
            Some(Answer { status, .. }) => GitHubError::Refused {
                doing,
                status: *status,
                message,
                rights: self.rights,
            },
            None => GitHubError::Remote { doing, message },
        }
    }
}

/// Gives the base of the GraphQL API, which stands beside a versioned REST API.
fn graphql_base(api: &str) -> &str {
    api.strip_suffix("/v3").unwrap_or(api)
}

/// Says in one line what came of a request.
fn message(answer: Option<&Answer>, error: &Error) -> String {
    let text = answer.map_or_else(|| error.to_string(), |answer| answer.message.clone());
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::graphql_base;

    #[test]
    fn a_server_of_ones_own_has_two_apis() {
        let own = "https://git.example.com/api/v3";
        assert_eq!(graphql_base(own), "https://git.example.com/api");
        let public = "https://api.example.com";
        assert_eq!(graphql_base(public), public);
    }
}
