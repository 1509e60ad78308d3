//! Which pull request a run belongs to.

use action_kit::Environment;
use serde::Deserialize;

use crate::GitHubError;

/// Where the API is, when the runner does not say.
const API: &str = "https://api.github.com";

/// A pull request, and the API by which it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Address of the API.
    pub api: String,
    /// `OWNER/NAME`.
    pub repository: String,
    /// Its number.
    pub number: u64,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    pull_request: Option<Numbered>,
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

impl PullRequest {
    /// Reads from the event which pull request started the run; nothing when none did.
    pub fn of_run(environment: &Environment) -> Result<Option<Self>, GitHubError> {
        let Some(file) = environment.path("GITHUB_EVENT_PATH") else {
            return Ok(None);
        };
        let text = fs_err::read_to_string(&file).map_err(GitHubError::Event)?;
        let event: Event = serde_json::from_str(&text).map_err(|source| GitHubError::NoEvent {
            file: file.clone(),
            source,
        })?;
        let (Some(found), Some(repository)) =
            (event.pull_request, environment.get("GITHUB_REPOSITORY"))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            api: api_of(environment),
            repository: repository.into(),
            number: found.number,
        }))
    }
}

/// Gives the address of the API that the run belongs to.
pub(crate) fn api_of(environment: &Environment) -> String {
    environment.get("GITHUB_API_URL").unwrap_or(API).into()
}

#[cfg(test)]
mod tests {
    use super::{Environment, PullRequest};
    use crate::GitHubError;

    fn of(event: &str) -> Result<Option<PullRequest>, GitHubError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("event.json");
        fs_err::write(&file, event).unwrap();
        PullRequest::of_run(&Environment::from_iter([
            ("GITHUB_EVENT_PATH", file.display().to_string().as_str()),
            ("GITHUB_REPOSITORY", "acme/orders"),
            ("GITHUB_API_URL", "https://git.example.com/api/v3"),
        ]))
    }

    #[test]
    fn an_event_names_its_pull_request() {
        let found = of(r#"{"action": "opened", "pull_request": {"number": 7, "id": 1}}"#);
        let found = found.unwrap().unwrap();
        assert_eq!(
            (found.repository.as_str(), found.number),
            ("acme/orders", 7)
        );
        assert_eq!(found.api, "https://git.example.com/api/v3");
    }

    #[test]
    fn other_events_name_none() {
        assert_eq!(of(r#"{"ref": "refs/heads/main"}"#).unwrap(), None);
        let laptop = Environment::from_iter([("GITHUB_REPOSITORY", "acme/orders")]);
        assert_eq!(PullRequest::of_run(&laptop).unwrap(), None);
        assert!(matches!(of("{"), Err(GitHubError::NoEvent { .. })));
    }
}
