//! The way to the cluster that the inputs name.

use std::time::{Duration, SystemTime};

use action_kit::{Context, Secret};
use cluster::Cluster;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::error::DeployError;
use crate::inputs::Inputs;

/// EKS takes a token for fifteen minutes.
const RENEW_EVERY: Duration = Duration::from_mins(10);

/// A cluster, and what keeps the way to it open.
#[derive(Debug)]
pub(crate) struct Access {
    /// The cluster.
    pub cluster: Cluster,
    _token: Option<RenewedToken>,
}

/// A token in a file that only this user can read, renewed until it is dropped.
#[derive(Debug)]
struct RenewedToken {
    renewal: JoinHandle<()>,
    _folder: TempDir,
}

impl Drop for RenewedToken {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Access {
    /// Connects to the cluster, and asks it for its version.
    pub(crate) async fn open(inputs: &Inputs, context: &Context) -> Result<Self, DeployError> {
        let access = if let Some(name) = &inputs.cluster {
            Self::eks(name, inputs.region.as_deref(), context).await?
        } else {
            let source = kubeconfig(inputs, context).ok_or(DeployError::NoCluster)?;
            Self {
                cluster: Cluster::from_kubeconfig(&source, inputs.context.as_deref()).await?,
                _token: None,
            }
        };
        let version = access.cluster.version().await?;
        tracing::info!("cluster {}: Kubernetes {version}", access.cluster.server());
        Ok(access)
    }

    async fn eks(name: &str, region: Option<&str>, context: &Context) -> Result<Self, DeployError> {
        let session = aws_account::Session::open(region, None, &context.environment).await?;
        let eks = aws_account::describe_cluster(&session.config, name).await?;
        let folder = TempDir::with_prefix("helm-deploy-token-").map_err(DeployError::Scratch)?;
        let file = folder.path().join("token");
        let write = {
            let (session, name, file, context) = (
                session.clone(),
                name.to_owned(),
                file.clone(),
                context.clone(),
            );
            async move || -> Result<(), DeployError> {
                let credentials = session.credentials().await?;
                let region = session.region.as_ref();
                let token = aws_account::token(&credentials, region, &name, SystemTime::now())?;
                context.console.hide(&token.secret);
                fs_err::write(&file, token.secret.expose()).map_err(DeployError::Scratch)
            }
        };
        write().await?;
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                if let Err(error) = write().await {
                    tracing::warn!("renew the cluster's token: {error}");
                }
            }
        });
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": {
                "server": eks.endpoint,
                "certificate-authority-data": eks.certificate_authority,
            }}],
            "users": [{"name": name, "user": {"tokenFile": file}}],
        });
        Ok(Self {
            cluster: Cluster::from_kubeconfig(&kubeconfig.to_string(), None).await?,
            _token: Some(RenewedToken {
                renewal,
                _folder: folder,
            }),
        })
    }
}

/// Gives the kubeconfig that the inputs name, or, on a laptop, the one of the shell.
fn kubeconfig(inputs: &Inputs, context: &Context) -> Option<String> {
    let environment = &context.environment;
    match &inputs.kubeconfig {
        Some(whole) if whole.contains('\n') || whole.starts_with('{') => {
            context.console.hide(&Secret::new(whole));
            Some(whole.clone())
        }
        Some(path) => Some(context.path(path).display().to_string()),
        None if environment.in_actions() => None,
        None => environment.get("KUBECONFIG").map(String::from).or_else(|| {
            let default = environment.path("HOME")?.join(".kube").join("config");
            default.is_file().then(|| default.display().to_string())
        }),
    }
}
