//! The token by which GitHub vouches for a run of a workflow.

use action_kit::{Environment, Secret};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::{EvidenceError, GITHUB_ISSUER};

/// For whom Sigstore wants tokens to be.
const AUDIENCE: &str = "sigstore";

/// Where a job asks for its token; jobs without `id-token: write` have none.
/// Source: <https://docs.github.com/actions/reference/security/oidc>.
#[derive(Clone, Debug)]
pub struct TokenSource {
    url: String,
    bearer: Secret,
}

impl TokenSource {
    /// Finds it in the environment of a step.
    #[must_use]
    pub fn of(environment: &Environment) -> Option<Self> {
        Some(Self {
            url: environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")?.into(),
            bearer: Secret::new(environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?),
        })
    }

    /// Gives what must not be shown.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.bearer
    }

    /// Asks for a token.
    pub(crate) async fn token(
        &self,
        http: &reqwest::Client,
    ) -> Result<IdentityToken, EvidenceError> {
        let answer = self.ask(http).await.map_err(|error| EvidenceError::Token {
            url: self.url.split('?').next().unwrap_or_default().into(),
            source: error.without_url().into(),
        })?;
        IdentityToken::read(Secret::new(answer.value))
    }

    async fn ask(&self, http: &reqwest::Client) -> Result<Answer, reqwest::Error> {
        let request = http
            .get(&self.url)
            .query(&[("audience", AUDIENCE)])
            .bearer_auth(self.bearer.expose());
        request.send().await?.error_for_status()?.json().await
    }
}

#[derive(Deserialize)]
struct Answer {
    value: String,
}

/// What GitHub says of a run, signed by GitHub.
#[derive(Clone, Debug)]
pub struct IdentityToken {
    secret: Secret,
    claims: Claims,
}

/// What is read of a token; its issuer's signature is for Sigstore to check.
#[derive(Clone, Debug, Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    repository_visibility: Option<String>,
}

impl IdentityToken {
    fn read(secret: Secret) -> Result<Self, EvidenceError> {
        let payload = secret.expose().split('.').nth(1).unwrap_or_default();
        let claims = BASE64_URL_SAFE_NO_PAD
            .decode(payload)
            .map_err(|error| EvidenceError::UnreadableToken(error.into()))?;
        let claims = serde_json::from_slice(&claims)
            .map_err(|error| EvidenceError::UnreadableToken(error.into()))?;
        Ok(Self { secret, claims })
    }

    /// Says whether it is of a repository on github.com that everybody may know of. Others, those
    /// of a server of one's own among them, are unknown to the public Sigstore or not for it to
    /// know.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.claims.iss == GITHUB_ISSUER
            && self.claims.repository_visibility.as_deref() == Some("public")
    }

    /// Gives what must not be shown.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}
