//! The way to the cluster: a kubeconfig, or an EKS cluster's name.

use std::time::SystemTime;

use action_kit::{Context, Failed, Secret};
use aws_account::{Session, describe_cluster, token};
use cluster::Cluster;

use crate::error::MigrateError;
use crate::inputs::Inputs;

/// Connects to the cluster that the inputs name.
pub(crate) async fn connect(inputs: &Inputs, context: &Context) -> Result<Cluster, Failed> {
    match (&inputs.kubeconfig, &inputs.cluster) {
        (Some(kubeconfig), None) => {
            let whole = kubeconfig.contains('\n') || kubeconfig.trim_start().starts_with('{');
            let source = if whole {
                context.console.hide(&Secret::new(kubeconfig));
                kubeconfig.clone()
            } else {
                context.path(kubeconfig).to_string_lossy().into_owned()
            };
            let connected = Cluster::from_kubeconfig(&source, None).await;
            Ok(connected.map_err(MigrateError::from)?)
        }
        (None, Some(name)) => eks(name, inputs, context).await,
        (None, None) => Err(MigrateError::NoCluster.into()),
        (Some(_), Some(_)) => Err(MigrateError::TwoClusters.into()),
    }
}

async fn eks(name: &str, inputs: &Inputs, context: &Context) -> Result<Cluster, Failed> {
    let session = Session::open(inputs.region.as_deref(), None, &context.environment).await?;
    let eks = describe_cluster(&session.config, name).await?;
    let credentials = session.credentials().await?;
    let region = session.region.as_ref();
    let token = token(&credentials, region, &eks.name, SystemTime::now())?;
    context.console.hide(&token.secret);
    let connected = Cluster::from_endpoint(
        &eks.endpoint,
        &eks.certificate_authority,
        token.secret.expose(),
    );
    Ok(connected.await.map_err(MigrateError::from)?)
}
