//! What was reviewed before a run: the plan that the merged pull request showed, and who let the
//! run's jobs go on.

use action_kit::{Environment, Secret};
use jiff::Timestamp;
use plan::Digest;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Attempt, Client};
use crate::comments::{Found, comments_of, list};
use crate::pull_request::api_of;
use crate::{GitHubError, Header};

/// A run of a workflow, and the commit that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Address of the API.
    pub api: String,
    /// `OWNER/NAME`.
    pub repository: String,
    /// The commit.
    pub commit: String,
    /// The branch that the commit is on.
    pub branch: String,
    /// Number of the run.
    pub id: String,
}

/// A plan as reviewers saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// Its digest.
    pub digest: Digest,
    /// Where it stands.
    pub url: String,
}

/// What GitHub knows of reviews before a run.
#[derive(Clone, Debug)]
pub struct Reviews {
    client: Client,
    run: Run,
}

/// A pull request, as far as we look at it.
#[derive(Deserialize)]
struct Pull {
    number: u64,
    merged_at: Option<String>,
    base: Base,
}

#[derive(Deserialize)]
struct Base {
    #[serde(rename = "ref")]
    branch: String,
}

/// An answer to the question whether jobs of some environments may go on.
#[derive(Deserialize)]
struct Approval {
    state: String,
    environments: Vec<Named>,
    user: Login,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

/// Whose token it is, and who changed a comment last.
#[derive(Deserialize)]
struct Hands {
    viewer: Login,
    node: Option<Node>,
}

#[derive(Deserialize)]
struct Node {
    editor: Option<Editor>,
}

#[derive(Deserialize)]
struct Editor {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
}

impl Run {
    /// Reads which run this is; nothing on a laptop.
    #[must_use]
    pub fn of(environment: &Environment) -> Option<Self> {
        let get = |name: &str| environment.get(name).map(String::from);
        Some(Self {
            api: api_of(environment),
            repository: get("GITHUB_REPOSITORY")?,
            commit: get("GITHUB_SHA")?,
            branch: get("GITHUB_REF_NAME")?,
            id: get("GITHUB_RUN_ID")?,
        })
    }
}

impl Reviews {
    /// Makes a client; nothing is sent yet.
    pub fn new(run: Run, token: &Secret) -> Result<Self, GitHubError> {
        let rights = "pull-requests: read` and `actions: read";
        let client = Client::new(&run.api, run.repository.clone(), rights, token)?;
        Ok(Self { client, run })
    }

    /// Gives the plan that the merged pull request of the run's commit showed when it was merged.
    ///
    /// A comment is believed only when this token's user wrote it and nobody else changed it, and
    /// only what it said before the merge: nobody can have reviewed what it says since.
    pub async fn merged_plan(&self, header: &Header) -> Result<Option<Reviewed>, GitHubError> {
        self.client.insist(async || self.find(header).await).await
    }

    /// Gives who approved that jobs of an environment go on in this run.
    pub async fn approver(&self, environment: &str) -> Result<Option<String>, GitHubError> {
        let Run { repository, id, .. } = &self.run;
        let route = format!("/repos/{repository}/actions/runs/{id}/approvals");
        let approvals: Vec<Approval> = self
            .client
            .insist(async || {
                let approvals = self.client.rest.get(&route, None::<&()>).await;
                approvals.map_err(|error| Attempt {
                    doing: "ask who approved the run",
                    error,
                })
            })
            .await?;
        let approved = approvals.into_iter().rev().find(|approval| {
            let mut names = approval.environments.iter();
            approval.state == "approved"
                && names.any(|found| found.name.eq_ignore_ascii_case(environment))
        });
        Ok(approved.map(|approval| approval.user.login))
    }

    async fn find(&self, header: &Header) -> Result<Option<Reviewed>, Attempt> {
        let Run {
            repository,
            commit,
            branch,
            ..
        } = &self.run;
        let route = format!("/repos/{repository}/commits/{commit}/pulls");
        let doing = "find the commit's pull request";
        let pulls: Vec<Pull> = self.client.all(&route, doing).await?;
        let merged = pulls
            .into_iter()
            .filter(|pull| pull.base.branch == *branch)
            .filter_map(|pull| Some((time(&pull.merged_at?)?, pull.number)))
            .max();
        let Some((merged_at, number)) = merged else {
            return Ok(None);
        };
        let comments = comments_of(repository, number);
        for found in list(&self.client, &comments, header).await? {
            let hands = self.hands(&found).await?;
            if !found.is_of(&hands.viewer.login) {
                // Anybody may write such a header.
                continue;
            }
            if let Some(doubt) = doubt(&found, &hands, merged_at) {
                tracing::warn!("the plan in {} does not count: {doubt}", found.html_url);
                continue;
            }
            return Ok(found.header().map(|header| Reviewed {
                digest: header.digest,
                url: found.html_url,
            }));
        }
        Ok(None)
    }

    /// Asks through whose hands a comment went. Only the GraphQL API tells who changed it.
    async fn hands(&self, found: &Found) -> Result<Hands, Attempt> {
        let query = json!({
            "query": "query($id: ID!) { viewer { login } \
                      node(id: $id) { ... on IssueComment { editor { __typename login } } } }",
            "variables": { "id": found.node_id },
        });
        self.client.ask(&query, "ask who wrote the comment").await
    }
}

/// Says why a comment of our own user's is not what the reviewers saw.
fn doubt(found: &Found, hands: &Hands, merged_at: Timestamp) -> Option<String> {
    let own = &hands.viewer.login;
    let name = own.strip_suffix("[bot]");
    if let Some(app) = &found.performed_via_github_app
        && app.slug.as_deref() != name
    {
        let app = app.slug.as_deref().unwrap_or("another app");
        return Some(format!("{app} wrote it"));
    }
    let Some(node) = &hands.node else {
        return Some("GitHub does not tell who changed it".into());
    };
    // GraphQL knows a bot by its kind, and leaves the end of its name away.
    let kind = if name.is_some() { "Bot" } else { "User" };
    if let Some(editor) = &node.editor
        && (editor.kind != kind || editor.login.trim_end_matches("[bot]") != name.unwrap_or(own))
    {
        return Some(format!("{} changed it", editor.login));
    }
    time(&found.updated_at)
        .is_none_or(|updated_at| updated_at > merged_at)
        .then(|| "it was changed after the merge".into())
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
