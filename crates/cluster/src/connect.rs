//! The way to a cluster: a kubeconfig, or an endpoint with a token.

use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use crate::error::ClusterError;

/// The name under which server-side apply records what this workspace's actions own.
pub(crate) const FIELD_MANAGER: &str = "fastapi-eks-actions";

/// A cluster that can be talked to.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    kubeconfig: Kubeconfig,
    server: String,
    default_namespace: String,
}

impl Cluster {
    /// Connects as a kubeconfig says: `source` is the path of one, or its content. `context`
    /// picks another than the current one.
    pub async fn from_kubeconfig(
        source: &str,
        context: Option<&str>,
    ) -> Result<Self, ClusterError> {
        let (origin, parsed) = if source.trim_start().starts_with('{') || source.contains('\n') {
            ("content".to_owned(), Kubeconfig::from_yaml(source))
        } else {
            let path = std::path::absolute(source).unwrap_or_else(|_| Path::new(source).into());
            (format!("`{source}`"), Kubeconfig::read_from(path))
        };
        let unusable = |source| ClusterError::Kubeconfig {
            origin: origin.clone(),
            source: Box::new(source),
        };
        let mut kubeconfig = parsed.map_err(unusable)?;
        if let Some(context) = context {
            kubeconfig.current_context = Some(context.into());
        }
        Self::connect(kubeconfig)
            .await
            .map_err(|error| match error {
                ConnectError::Kubeconfig(source) => unusable(source),
                ConnectError::Client(server, source) => ClusterError::Client {
                    server,
                    source: Box::new(source),
                },
            })
    }

    /// Connects to an endpoint (`https://…`) with its certificate authority (base64 of PEM, as EKS
    /// gives it) and a bearer token.
    pub async fn from_endpoint(
        endpoint: &str,
        certificate_authority: &str,
        token: &str,
    ) -> Result<Self, ClusterError> {
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "cluster",
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "token"}}],
            "clusters": [{"name": "cluster", "cluster": {
                "server": endpoint,
                "certificate-authority-data": certificate_authority,
            }}],
            "users": [{"name": "token", "user": {"token": token}}],
        });
        Self::from_kubeconfig(&content.to_string(), None).await
    }

    async fn connect(kubeconfig: Kubeconfig) -> Result<Self, ConnectError> {
        // Another crate may have installed it already; there is only this one to install.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config =
            Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default())
                .await
                .map_err(ConnectError::Kubeconfig)?;
        let server = config.cluster_url.to_string();
        let default_namespace = config.default_namespace.clone();
        let client = Client::try_from(config)
            .map_err(|source| ConnectError::Client(server.clone(), source))?;
        Ok(Self {
            client,
            kubeconfig,
            server,
            default_namespace,
        })
    }

    /// Gives the client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Gives the API server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Gives the namespace that the kubeconfig's context names, or `default`.
    #[must_use]
    pub fn default_namespace(&self) -> &str {
        &self.default_namespace
    }

    /// Writes a kubeconfig for another program: file names in it are absolute. It holds
    /// credentials.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        serde_yaml::to_string(&self.kubeconfig).unwrap_or_default()
    }

    /// Says whether the credentials are made by a program that the kubeconfig names.
    #[must_use]
    pub fn runs_a_program(&self) -> bool {
        let mut users = self.kubeconfig.auth_infos.iter();
        users.any(|user| {
            user.auth_info
                .as_ref()
                .is_some_and(|user| user.exec.is_some())
        })
    }

    /// Asks for the API server's version: proves that it answers and accepts the credentials.
    pub async fn version(&self) -> Result<String, ClusterError> {
        let doing = format!("ask the API server at {} for its version", self.server);
        let info = self.client.apiserver_version().await;
        Ok(info
            .map_err(|error| ClusterError::of(doing, error))?
            .git_version)
    }

    /// Says whether a namespace exists.
    pub async fn has_namespace(&self, name: &str) -> Result<bool, ClusterError> {
        let found = Api::<Namespace>::all(self.client()).get_opt(name).await;
        let found =
            found.map_err(|error| ClusterError::of(format!("read namespace `{name}`"), error))?;
        Ok(found.is_some())
    }

    /// Creates a namespace unless it exists; says whether it was created. One that is there is
    /// left as it is, so that no permission to write is needed for it.
    pub async fn ensure_namespace(&self, name: &str) -> Result<bool, ClusterError> {
        if self.has_namespace(name).await? {
            return Ok(false);
        }
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        Api::<Namespace>::all(self.client())
            .patch(
                name,
                &PatchParams::apply(FIELD_MANAGER),
                &Patch::Apply(&namespace),
            )
            .await
            .map_err(|error| ClusterError::of(format!("create namespace `{name}`"), error))?;
        tracing::info!("namespace {name}: created");
        Ok(true)
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

enum ConnectError {
    Kubeconfig(kube::config::KubeconfigError),
    Client(String, kube::Error),
}
