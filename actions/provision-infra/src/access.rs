//! The way into the environment's cluster: kubeconfigs and tokens.

use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use action_kit::{Context, Failed, Outcome, Report};
use aws_account::{Login, Session, Token, describe_cluster, exec_credential, kubeconfig, token};
use fs_err::os::unix::fs::OpenOptionsExt;

use crate::error::InfraError;
use crate::inputs::{self, Inputs, Mode};

/// Where `kubeconfig` writes to by default.
const KUBECONFIG: &str = ".fastapi-eks-actions/kubeconfig";

/// Gives access to a cluster that the inputs name; the configuration is not needed.
pub(crate) async fn to_given_cluster(inputs: &Inputs, context: &Context) -> Result<Report, Failed> {
    let session = Session::open(
        inputs.region.as_deref(),
        inputs.account.as_ref(),
        &context.environment,
    )
    .await?;
    let cluster = inputs.cluster.as_deref().unwrap_or_default();
    to_cluster(inputs, context, &session, cluster).await
}

/// Gives access to a cluster, in the way that the inputs ask for.
pub(crate) async fn to_cluster(
    inputs: &Inputs,
    context: &Context,
    session: &Session,
    cluster: &str,
) -> Result<Report, Failed> {
    let report = Report::new(Outcome::Done).output("cluster", cluster);
    if inputs.mode == Mode::Token {
        let token = make_token(session, cluster).await?;
        // Asked for by `kubectl`, which reads it from here; a workflow's log must not show it.
        if context.environment.in_actions() {
            context.console.hide(&token.secret);
        }
        return Ok(report.line(exec_credential(&token)));
    }
    let file = inputs
        .kubeconfig
        .clone()
        .unwrap_or_else(|| KUBECONFIG.into());
    write(session, cluster, inputs.kubeconfig_login, &file, context).await?;
    Ok(report.output("kubeconfig", file.display().to_string()))
}

/// Writes a kubeconfig that only this user can read.
pub async fn write(
    session: &Session,
    cluster: &str,
    login: inputs::Login,
    file: &Path,
    context: &Context,
) -> Result<(), Failed> {
    let cluster = describe_cluster(&session.config, cluster).await?;
    let text = match login {
        inputs::Login::Token => {
            let token = make_token(session, &cluster.name).await?;
            context.console.hide(&token.secret);
            kubeconfig(&cluster, &Login::Token(&token))
        }
        inputs::Login::Exec => {
            let program = std::env::current_exe().unwrap_or_else(|_| "provision-infra".into());
            let arguments = [
                "--mode=token".to_owned(),
                format!("--cluster={}", cluster.name),
                format!("--region={}", session.region),
            ];
            let login = Login::Program {
                command: &program.to_string_lossy(),
                arguments: &arguments,
            };
            kubeconfig(&cluster, &login)
        }
    };
    let path = context.path(file);
    let written = save(&path, &text).map_err(|source| InfraError::File {
        doing: "write the kubeconfig",
        file: file.into(),
        source,
    });
    written?;
    tracing::info!("{}: kubeconfig for {}", file.display(), cluster.endpoint);
    Ok(())
}

/// Makes a token with the session's credentials.
pub async fn make_token(session: &Session, cluster: &str) -> Result<Token, Failed> {
    let credentials = session.credentials().await?;
    Ok(token(
        &credentials,
        session.region.as_ref(),
        cluster,
        SystemTime::now(),
    )?)
}

fn save(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    // A file that was there keeps its mode when it is opened: make a new one and rename it.
    let new = path.with_extension("new");
    if new.exists() {
        fs_err::remove_file(&new)?;
    }
    fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?
        .write_all(text.as_bytes())?;
    fs_err::rename(&new, path)
}
