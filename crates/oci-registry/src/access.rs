//! How registries are reached: protocol and credentials.

use std::collections::BTreeMap;
use std::path::PathBuf;

use action_kit::{Environment, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_distribution::secrets::RegistryAuth;
use serde::Deserialize;

use crate::RegistryError;

/// How registries are reached. HTTPS without credentials, unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub(crate) plain_http: Vec<String>,
    pub(crate) credentials: BTreeMap<String, Credentials>,
    helpers: BTreeMap<String, String>,
    file: PathBuf,
}

/// A user of a registry.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password or token.
    pub password: Secret,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DockerConfig {
    auths: BTreeMap<String, DockerAuth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerAuth {
    auth: Option<String>,
}

impl Access {
    /// Takes the credentials that `docker login` left behind, if any.
    pub fn from_docker(environment: &Environment) -> Result<Self, RegistryError> {
        let folder = environment
            .path("DOCKER_CONFIG")
            .or_else(|| Some(environment.path("HOME")?.join(".docker")));
        let Some(file) = folder.map(|folder| folder.join("config.json")) else {
            return Ok(Self::default());
        };
        if !file.is_file() {
            return Ok(Self::default());
        }
        let failed = |source| RegistryError::Credentials {
            path: file.clone(),
            source,
        };
        let text = fs_err::read(&file).map_err(|error| failed(error.into()))?;
        let config: DockerConfig =
            serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        let mut access = Self::default();
        for (name, auth) in config.auths {
            let name = host(&name);
            match auth.auth.filter(|auth| !auth.is_empty()) {
                Some(auth) => {
                    let credentials = decode(&auth).ok_or_else(|| {
                        failed(format!("`auths.{name}.auth` is unreadable").into())
                    })?;
                    access.credentials.insert(name, credentials);
                }
                None => {
                    if let Some(helper) = &config.creds_store {
                        access.helpers.insert(name, helper.clone());
                    }
                }
            }
        }
        for (name, helper) in config.cred_helpers {
            access.helpers.insert(host(&name), helper);
        }
        access.file = file;
        Ok(access)
    }

    /// Names registries (host and port) that are reached without HTTPS.
    #[must_use]
    pub fn plain_http<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.plain_http.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Sets the credentials for a registry.
    #[must_use]
    pub fn login(mut self, registry: &str, credentials: Credentials) -> Self {
        self.credentials.insert(host(registry), credentials);
        self
    }

    /// Says whether there are credentials for a registry.
    pub(crate) fn has_login(&self, registry: &str) -> bool {
        self.credentials.contains_key(&host(registry))
    }

    /// Gives every password, so that a log can leave them out.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.credentials.values().map(|found| &found.password)
    }

    /// Gives the protocol by which a registry is reached.
    pub(crate) fn scheme(&self, registry: &str) -> &'static str {
        if self.plain_http.iter().any(|host| host == registry) {
            "http"
        } else {
            "https"
        }
    }

    pub(crate) fn authentication(&self, registry: &str) -> Result<RegistryAuth, RegistryError> {
        let name = host(registry);
        if let Some(found) = self.credentials.get(&name) {
            return Ok(RegistryAuth::Basic(
                found.username.clone(),
                found.password.expose().into(),
            ));
        }
        match self.helpers.get(&name) {
            Some(helper) => Err(RegistryError::CredentialHelper {
                path: self.file.clone(),
                registry: name,
                helper: format!("docker-credential-{helper}"),
            }),
            None => Ok(RegistryAuth::Anonymous),
        }
    }
}

/// Gives the host and port of a registry; Docker Hub goes by several names.
fn host(name: &str) -> String {
    let name = name
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let name = name.split('/').next().unwrap_or_default();
    match name {
        "docker.io" | "registry-1.docker.io" => "index.docker.io".into(),
        other => other.into(),
    }
}

/// Reads a user and password as Docker and ECR write them.
pub(crate) fn decode(auth: &str) -> Option<Credentials> {
    let text = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Credentials {
        username: username.into(),
        password: Secret::new(password.trim_end_matches('\0')),
    })
}
