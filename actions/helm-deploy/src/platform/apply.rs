//! Installing and upgrading all releases, those that need nothing of each other at the same time.

use std::time::{Duration, Instant};

use action_kit::{Failed, Report, named};
use cluster::Attempt;

use super::order::in_order;
use super::planned::{Planned, allowed, new_namespaces, plan_all, whole};
use super::{AT_ONCE, Run, report};
use crate::apply::locked;
use crate::error::DeployError;
use crate::observe::{attempts, observe};
use crate::plan::Observed;
use crate::review;
use crate::session::Session;

/// What is needed has so long until it answers: its kinds are known and its webhooks are believed
/// a moment after its pods are ready.
const SETTLES_WITHIN: Duration = Duration::from_mins(2);
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Installs or upgrades all releases.
pub(crate) async fn apply(run: &Run) -> Result<Report, Failed> {
    let planned = plan_all(run).await?;
    let plan = whole(run, &planned);
    run.context.console.line(plan.to_text());
    review::check(&run.inputs, &run.context, &plan)?;
    allowed(&planned)?;
    make_namespaces(&planned).await?;
    let needs = run.platform.needs();
    let ended = in_order(&needs, AT_ONCE, async |one| {
        let (own, waits) = (&planned[one], !needs[one].is_empty());
        // Boxed: it is large, and so many are held at the same time.
        let work = Box::pin(apply_one(own, waits));
        named(own.session.release.as_str(), work).await
    });
    let ended = ended.await;
    let report = report::applied(run, &plan, &ended);
    match run.trouble(ended) {
        Some(error) => Err(Failed::from(error).with(report)),
        None => Ok(report),
    }
}

async fn make_namespaces(planned: &[Planned]) -> Result<(), DeployError> {
    let Some(first) = planned.first() else {
        return Ok(());
    };
    for namespace in new_namespaces(planned) {
        if !first.session.inputs.create_namespace {
            return Err(DeployError::NoNamespace {
                namespace: namespace.into(),
            });
        }
        first.session.cluster().ensure_namespace(namespace).await?;
    }
    Ok(())
}

/// Installs or upgrades a release, which `waits` until what it needs answers.
async fn apply_one(planned: &Planned, waits: bool) -> Result<Report, Failed> {
    let result = async {
        if waits && !planned.plan.is_empty() {
            settle(planned).await?;
        }
        locked(&planned.session, &planned.wanted, true).await
    };
    let result = result.await.map_err(Failed::from);
    if let Err(failed) = &result {
        tracing::info!("failed: {}", failed.chain().join(": "));
    }
    result
}

/// Waits until the release's kinds are known and webhooks answer for its objects. Who waits in
/// vain goes on: what is still wrong then is told where it is applied.
async fn settle(
    Planned {
        session, wanted, ..
    }: &Planned,
) -> Result<(), DeployError> {
    let started = Instant::now();
    let limit = SETTLES_WITHIN.min(session.timeout());
    let mut observed = loop {
        match observe(session, wanted, false).await {
            Err(error) if error.is_unknown_kind() && started.elapsed() < limit => {}
            result => break result?,
        }
        tokio::time::sleep(ASK_EVERY).await;
    };
    while is_unanswered(session, &mut observed).await? && started.elapsed() < limit {
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}

async fn is_unanswered(session: &Session, observed: &mut Observed) -> Result<bool, DeployError> {
    attempts(session.cluster(), observed, session.namespace.as_str()).await?;
    Ok(observed.attempts.values().any(|attempt| match attempt {
        Attempt::Refused(refusal) => refusal.message.contains("failed calling webhook"),
        _ => false,
    }))
}
