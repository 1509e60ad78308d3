//! Requests that `oci_distribution` has no function for, or asks twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oci_distribution::errors::OciDistributionError;
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Reference, RegistryOperation};
use oci_image::Digest;
use reqwest::header::ACCEPT;
use reqwest::{RequestBuilder, Response, Url};
use tokio::sync::Mutex;

use crate::registry::{ACCEPTED, CONNECT_TIMEOUT, READ_TIMEOUT, USER_AGENT, place};
use crate::{Registry, RegistryError};

/// How long a token is used: less than the minute that each is good for (distribution's token
/// specification, `expires_in`).
const TOKEN_AGE: Duration = Duration::from_secs(45);

/// Tokens by repository, and since when; nothing where a registry wants none.
pub(crate) type Tokens = Arc<Mutex<BTreeMap<String, (Option<String>, Instant)>>>;

impl Registry {
    /// Says whether a repository has a manifest or index.
    pub(crate) async fn has_manifest(
        &self,
        repository: &Reference,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let auth = self.authenticate(repository).await?;
        let url = self.url(repository, &format!("manifests/{digest}"))?;
        let doing = || format!("look for `{digest}` in `{}`", place(repository));
        self.attempt(doing, repository, async || {
            // The client's own function asks twice where there is none.
            let request = self.http.head(url.clone());
            let request = request.header(ACCEPT, ACCEPTED.join(", "));
            let answer = self.ask(request, repository, &auth).await?;
            match answer.status().as_u16() {
                200 => Ok(true),
                404 => Ok(false),
                code => Err(OciDistributionError::ServerError {
                    code,
                    url: url.to_string(),
                    message: String::new(),
                }),
            }
        })
        .await
    }

    /// Sends a request that `client` has no function for.
    pub(crate) async fn ask(
        &self,
        request: RequestBuilder,
        repository: &Reference,
        auth: &RegistryAuth,
    ) -> Result<Response, OciDistributionError> {
        let token = self.token(repository, auth).await?;
        let request = match (token, auth) {
            (Some(token), _) => request.bearer_auth(token),
            (None, RegistryAuth::Basic(user, password)) => request.basic_auth(user, Some(password)),
            (None, _) => request,
        };
        Ok(request.send().await?)
    }

    /// Gives the token to read a repository with, if its registry has tokens. The client asks the
    /// registry each time.
    async fn token(
        &self,
        repository: &Reference,
        auth: &RegistryAuth,
    ) -> Result<Option<String>, OciDistributionError> {
        let mut tokens = self.tokens.lock().await;
        let known = tokens.get(&place(repository));
        if let Some((token, _)) = known.filter(|(_, since)| since.elapsed() < TOKEN_AGE) {
            return Ok(token.clone());
        }
        let operation = RegistryOperation::Pull;
        let token = self.client.auth(repository, auth, operation).await?;
        tokens.insert(place(repository), (token.clone(), Instant::now()));
        Ok(token)
    }

    /// Gives the address of something in a repository.
    pub(crate) fn url(&self, repository: &Reference, what: &str) -> Result<Url, RegistryError> {
        let registry = repository.resolve_registry();
        let scheme = self.access.scheme(registry);
        let name = repository.repository();
        Url::parse(&format!("{scheme}://{registry}/v2/{name}/{what}"))
            .map_err(|error| RegistryError::Client(error.into()))
    }
}

/// Makes a client for the requests that `oci_distribution` has no function for.
pub(crate) fn http_client() -> Result<reqwest::Client, RegistryError> {
    // Fails when another part of the process installed a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .user_agent(USER_AGENT)
        .build()
        .map_err(|error| RegistryError::Client(error.into()))
}
