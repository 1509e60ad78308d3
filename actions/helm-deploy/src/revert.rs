//! Going back to an earlier revision, and taking a release out.

use action_kit::{Outcome, Report};
use cluster::Lease;

use crate::apply::return_to;
use crate::error::DeployError;
use crate::manifest::is_kept;
use crate::observe::release;
use crate::plan::Observed;
use crate::session::{Session, good_revision};
use crate::steps;

/// Goes back to an earlier revision.
pub(crate) async fn rollback(session: &Session) -> Result<Report, DeployError> {
    let name = &session.release;
    let observed = kept(session).await?;
    if observed.revisions.is_empty() {
        return Err(not_found(session, format!("release `{name}`")));
    }
    let mut lease = session.lock().await?;
    let observed = kept(session)
        .await
        .map(|seen| (seen, good_revision(&lease)));
    let result = match observed {
        Ok((observed, good)) => match target(session, &observed, good) {
            Ok(to) => back(session, to, &observed, &mut lease).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    session.unlock(lease).await;
    let (to, now, before) = result?;
    let before = before.map(|revision| revision.to_string());
    Ok(session
        .report(Outcome::Done, Some(now))
        .output("previous-revision", before.unwrap_or_default())
        .markdown(format!(
            "### `{}/{name}` is back at revision {to}",
            session.namespace
        ))
        .line(format!(
            "release {name}: back at revision {to}, as revision {now}"
        )))
}

/// Goes back to a revision; gives it with the one that is deployed now, and the one before.
async fn back(
    session: &Session,
    to: u32,
    observed: &Observed,
    lease: &mut Lease,
) -> Result<(u32, u32, Option<u32>), DeployError> {
    if let Some(live) = &observed.live {
        steps::clear(session, live.revision, &live.objects).await?;
    }
    let now = return_to(session, to, lease).await?;
    Ok((to, now, observed.deployed()))
}

async fn kept(session: &Session) -> Result<Observed, DeployError> {
    let mut observed = Observed::default();
    release(&session.helm, &mut observed).await?;
    Ok(observed)
}

/// Chooses the revision: the one that is asked for, the last good one when a newer one is
/// deployed, or the one before the deployed one.
fn target(session: &Session, observed: &Observed, good: Option<u32>) -> Result<u32, DeployError> {
    let exists = |number: u32| {
        observed
            .revisions
            .iter()
            .any(|kept| kept.revision == number)
    };
    if let Some(number) = session.inputs.revision {
        return if exists(number) {
            Ok(number)
        } else {
            Err(not_found(session, format!("revision {number}")))
        };
    }
    good.filter(|number| exists(*number) && Some(*number) != observed.deployed())
        .or_else(|| observed.before())
        .ok_or_else(|| not_found(session, "an earlier good revision".into()))
}

fn not_found(session: &Session, what: String) -> DeployError {
    DeployError::NotFound {
        doing: format!("go back in `{}/{}`", session.namespace, session.release),
        what,
    }
}

/// Takes the release out of the cluster.
pub(crate) async fn uninstall(session: &Session) -> Result<Report, DeployError> {
    let name = &session.release;
    let observed = kept(session).await?;
    if observed.revisions.is_empty() {
        return Ok(session
            .report(Outcome::Unchanged, None)
            .line(format!("release {name} is not there")));
    }
    let lease = session.lock().await?;
    if let Err(error) = session.helm.uninstall(session.timeout()).await {
        session.unlock(lease).await;
        return Err(error);
    }
    if let Err(error) = lease.remove().await {
        tracing::warn!("{error}");
    }
    let objects = observed.live.iter().flat_map(|live| &live.objects);
    let left: Vec<String> = objects
        .filter(|(_, object)| is_kept(object))
        .map(|(id, _)| format!("{} {id}", id.kind))
        .collect();
    let mut line = format!("release {name} is uninstalled");
    if !left.is_empty() {
        line = format!("{line}; kept: {}", left.join(", "));
    }
    Ok(session
        .report(Outcome::Done, None)
        .field("kept", left)
        .markdown(format!("### {line}"))
        .line(line))
}
