//! Installing and upgrading.

use std::fmt::Write as _;
use std::time::Instant;

use action_kit::{Outcome, Report};
use cluster::{Cause, ClusterError, Lease, Tracked, Workload, diagnose};

use crate::error::DeployError;
use crate::helm::Wanted;
use crate::manifest;
use crate::observe::{definitions, observe};
use crate::plan::{Observed, Repair};
use crate::review;
use crate::session::{Session, good_revision, left, remember_good};
use crate::steps::{self, Climbed};
use crate::traffic::{Broken, Tally, Target, Traffic, follow};

/// Installs or upgrades the release.
pub(crate) async fn apply(session: &Session) -> Result<Report, DeployError> {
    let wanted = session.wanted()?;
    let observed = observe(session, &wanted, false).await?;
    let plan = review::make(session, &observed);
    session.context.console.line(plan.to_text());
    review::check(&session.inputs, &session.context, &plan)?;
    review::allowed(session, review::broken_policy(session, &observed))?;
    if !observed.namespace_exists {
        if !session.inputs.create_namespace {
            return Err(DeployError::NoNamespace {
                namespace: session.namespace.to_string(),
            });
        }
        session
            .cluster()
            .ensure_namespace(session.namespace.as_str())
            .await?;
    }
    locked(session, &wanted, observed.namespace_exists).await
}

/// Does the work as the only run that changes the release; `namespace_existed` before the run.
pub(crate) async fn locked(
    session: &Session,
    wanted: &Wanted,
    namespace_existed: bool,
) -> Result<Report, DeployError> {
    let mut lease = session.lock().await?;
    let result = alone(session, wanted, namespace_existed, &mut lease).await;
    session.unlock(lease).await;
    result
}

/// Does the work, under the lease: what was observed before it was held is observed again.
async fn alone(
    session: &Session,
    wanted: &Wanted,
    namespace_existed: bool,
    lease: &mut Lease,
) -> Result<Report, DeployError> {
    let started = Instant::now();
    let mut observed = observe(session, wanted, false).await?;
    observed.namespace_exists = namespace_existed;
    if let Some(live) = &observed.live {
        steps::clear(session, live.revision, &live.objects).await?;
    }
    let plan = review::make(session, &observed);
    review::check(&session.inputs, &session.context, &plan)?;
    let good = good(&observed, lease);
    if plan.is_empty() {
        return unchanged(session, &observed, good, lease).await;
    }
    let mut warnings = review::broken_policy(session, &observed);
    warnings.extend(review::tried(session, &mut observed).await?);
    review::warn(&warnings);
    review::possible(session, &warnings)?;
    let traffic = traffic(session, &observed).await?;
    prepare(session, wanted, &observed, lease).await?;
    let climbed = Box::pin(steps::climb(session, &observed, traffic.as_ref())).await?;
    let upgraded = Box::pin(upgrade(
        session,
        wanted,
        &observed,
        good,
        lease,
        traffic,
        climbed.as_ref(),
    ));
    let upgraded = upgraded.await;
    if upgraded.is_err() && climbed.is_some() {
        steps::end(session).await;
    }
    let Upgraded {
        revision,
        tracked,
        tally,
    } = upgraded?;
    let report = session
        .report(Outcome::Done, Some(revision))
        .field("seconds", started.elapsed().as_secs())
        .field("traffic", &tally);
    let report = match tally {
        Some(tally) => report.line(format!("during the rollout {tally}")),
        None => report,
    };
    let report = match &climbed {
        Some(climbed) => climbed.describe(report),
        None => report,
    };
    let report = with_previous(report, observed.deployed());
    let report = review::describe(report, &plan, &observed, &warnings);
    Ok(with_workloads(report, &tracked).line(format!(
        "release {} revision {revision} in {}: ready after {} s",
        session.release,
        session.namespace,
        started.elapsed().as_secs()
    )))
}

/// What an upgrade came to.
struct Upgraded {
    revision: u32,
    tracked: Vec<Tracked>,
    tally: Option<Tally>,
}

/// Lets Helm upgrade, and follows the rollout where that is wanted.
async fn upgrade(
    session: &Session,
    wanted: &Wanted,
    observed: &Observed,
    good: Option<u32>,
    lease: &mut Lease,
    traffic: Option<Traffic>,
    climbed: Option<&Climbed>,
) -> Result<Upgraded, DeployError> {
    let started = Instant::now();
    let rendered = match session.helm.upgrade(wanted, session.timeout()).await {
        Ok(rendered) => rendered,
        Err(error) => return Err(refused(session, error, observed, good, lease).await),
    };
    let revision = rendered.version;
    tracing::info!("release {} revision {revision}: applied", session.release);
    let mut upgraded = Upgraded {
        revision,
        tracked: Vec::new(),
        tally: None,
    };
    if !session.inputs.wait {
        return Ok(upgraded);
    }
    let objects = manifest::objects(&rendered.manifest, "the applied release")?;
    let rollout = Box::pin(async {
        if let Some(climbed) = climbed {
            climbed.keep(session, &objects).await;
        }
        let tracked = session
            .track(&objects, left(session.timeout(), started))
            .await?;
        if climbed.is_some() {
            steps::clear(session, revision, &objects).await?;
        }
        Ok::<_, ClusterError>(tracked)
    });
    match follow(traffic, session.inputs.traffic.traffic_failures, rollout).await {
        Ok((tracked, tally)) => (upgraded.tracked, upgraded.tally) = (tracked, tally),
        Err(cause) => return Err(broken(session, revision, cause, good, lease).await),
    }
    remember_good(lease, revision).await?;
    Ok(upgraded)
}

/// Starts the requests that are to be answered during the rollout; before a first installation
/// there is nobody to answer them.
async fn traffic(session: &Session, observed: &Observed) -> Result<Option<Traffic>, DeployError> {
    let Some(target) = Target::of(&session.inputs.traffic).await? else {
        return Ok(None);
    };
    if observed.live.is_none() {
        tracing::info!("traffic: none, since nothing answers before a first installation");
        return Ok(None);
    }
    Traffic::start(target).await.map(Some)
}

/// Makes the way free for Helm: CRDs, and what a run that was killed left behind.
async fn prepare(
    session: &Session,
    wanted: &Wanted,
    observed: &Observed,
    lease: &mut Lease,
) -> Result<(), DeployError> {
    if observed.revisions.is_empty() && session.inputs.wait {
        remember_good(lease, 0).await?;
    }
    if !observed.crds.is_empty() {
        let definitions = definitions(&session.helm, wanted).await?;
        let namespace = session.namespace.as_str();
        let applied = session.cluster().apply(&definitions, namespace).await?;
        tracing::info!("{} custom resource definitions applied", applied.len());
    }
    match observed.repair() {
        Some(repair) => mend(session, repair).await,
        None => Ok(()),
    }
}

/// Ends an upgrade that Helm gave up: shows what hooks wrote, and goes back when something was
/// applied.
async fn refused(
    session: &Session,
    error: DeployError,
    observed: &Observed,
    good: Option<u32>,
    lease: &mut Lease,
) -> DeployError {
    let DeployError::Helm { message, .. } = error else {
        return error;
    };
    let message = match failed_hooks(session, observed).await.as_slice() {
        [] => message,
        causes => format!("{message}: {}", causes.join("; ")),
    };
    let afterwards = match session.helm.history().await {
        // Without a new revision Helm gave up before it touched anything.
        Ok(history) if history.last() == observed.revisions.last() => "nothing was changed".into(),
        _ => go_back(session, good, lease).await,
    };
    DeployError::Apply {
        release: session.release.to_string(),
        message,
        afterwards,
    }
}

/// Gives the revision to go back to: the last one that became ready, as far as Helm still keeps
/// it, or, for a release that others made, the deployed one.
fn good(observed: &Observed, lease: &Lease) -> Option<u32> {
    let kept = |number: &u32| {
        observed.revisions.iter().any(|kept| {
            kept.revision == *number && matches!(kept.status.as_str(), "deployed" | "superseded")
        })
    };
    match good_revision(lease) {
        Some(0) => None,
        Some(number) if kept(&number) => Some(number),
        _ => observed.deployed(),
    }
}

/// Checks a release that has nothing to change: a run that was killed while it followed the
/// rollout did not see whether it became ready.
async fn unchanged(
    session: &Session,
    observed: &Observed,
    good: Option<u32>,
    lease: &mut Lease,
) -> Result<Report, DeployError> {
    let revision = observed.deployed();
    let mut tracked = Vec::new();
    if session.inputs.wait
        && let (Some(live), Some(revision)) = (&observed.live, revision)
    {
        match session.track(&live.objects, session.timeout()).await {
            Ok(ready) => tracked = ready,
            Err(cause) if good == Some(revision) => {
                show_logs(session, &cause);
                return Err(DeployError::Rollout {
                    release: session.release.to_string(),
                    revision,
                    cause: Box::new(cause),
                    afterwards: "it was ready before and nothing was changed".into(),
                });
            }
            Err(cause) => return Err(broken(session, revision, cause.into(), good, lease).await),
        }
        remember_good(lease, revision).await?;
    }
    let plan = review::make(session, observed);
    let report = session.report(Outcome::Unchanged, revision);
    let report = review::describe(with_previous(report, revision), &plan, observed, &[]);
    Ok(with_workloads(report, &tracked).line(format!(
        "release {} in {}: nothing to change, everything ready",
        session.release, session.namespace
    )))
}

async fn mend(session: &Session, repair: Repair) -> Result<(), DeployError> {
    let release = &session.release;
    match repair {
        Repair::Forget(revision) => {
            tracing::warn!(
                "release {release} revision {revision} was left pending by a run that was killed: applying it again"
            );
            let secret = format!("sh.helm.release.v1.{release}.v{revision}");
            let namespace = session.namespace.as_str();
            session
                .cluster()
                .delete("v1", "Secret", namespace, &secret)
                .await?;
        }
        Repair::RollBack { from, to } => {
            tracing::warn!(
                "release {release} revision {from} was left pending by a run that was killed: going back to revision {to} first"
            );
            session.helm.rollback(to, session.timeout()).await?;
        }
        Repair::Uninstall(revision) => {
            tracing::warn!(
                "release {release} revision {revision} was left half-done by a run that was killed: taking it out first"
            );
            session.helm.uninstall(session.timeout()).await?;
        }
    }
    Ok(())
}

/// Ends a rollout that failed: shows what the containers wrote, and goes back.
async fn broken(
    session: &Session,
    revision: u32,
    cause: Broken,
    good: Option<u32>,
    lease: &mut Lease,
) -> DeployError {
    if let Broken::NotReady(cause) = &cause {
        show_logs(session, cause);
        tracing::info!("not ready: {cause}");
    }
    let release = session.release.to_string();
    let afterwards = go_back(session, good, lease).await;
    match cause {
        Broken::NotReady(cause) => DeployError::Rollout {
            release,
            revision,
            cause: Box::new(cause),
            afterwards,
        },
        Broken::LosesRequests(tally) => DeployError::LosesRequests {
            release,
            revision,
            tally,
            afterwards,
        },
    }
}

fn show_logs(session: &Session, cause: &ClusterError) {
    let (ClusterError::NotReady { findings } | ClusterError::TimedOut { findings, .. }) = cause
    else {
        return;
    };
    for finding in findings {
        let Cause::CrashLoop { last_lines, .. } = &finding.cause else {
            continue;
        };
        let pod = finding.pod.as_deref().unwrap_or_default();
        let _group = session
            .context
            .console
            .group(&format!("last lines of {pod}"));
        for line in last_lines {
            session.context.console.line(line);
        }
    }
}

/// Shows what hooks that failed wrote, and says why they did: Helm says only that they did.
async fn failed_hooks(session: &Session, observed: &Observed) -> Vec<String> {
    let mut causes = Vec::new();
    let namespace = session.namespace.as_str();
    let hooks = observed.hooks.values();
    for hook in hooks.filter_map(|object| Workload::of_manifest(object, namespace)) {
        let Ok(seen) = session.cluster().observe(&hook).await else {
            continue;
        };
        causes.extend(diagnose(&seen).into_iter().map(|finding| finding.text));
        for ((pod, _), lines) in seen.logs {
            let _group = session
                .context
                .console
                .group(&format!("last lines of {pod}"));
            for line in lines {
                session.context.console.line(line);
            }
        }
    }
    causes
}

/// Goes back to the last good revision where that is wanted, and says what came of it.
async fn go_back(session: &Session, good: Option<u32>, lease: &mut Lease) -> String {
    if !session.inputs.rollback_on_failure {
        return "left as it is (`rollback-on-failure` is false)".into();
    }
    let Some(to) = good else {
        return after_first_install(session).await;
    };
    tracing::info!("going back to revision {to}");
    match return_to(session, to, lease).await {
        Ok(revision) => {
            format!("rolled back to revision {to} (now revision {revision}), which is ready")
        }
        Err(error) => format!("and going back to revision {to} failed: {error}"),
    }
}

async fn after_first_install(session: &Session) -> String {
    if !session.inputs.uninstall_failed_install {
        return "it is the first installation and left for inspection".into();
    }
    match session.helm.uninstall(session.timeout()).await {
        Ok(()) => "the first installation was taken out again".into(),
        Err(error) => format!("and taking the first installation out failed: {error}"),
    }
}

/// Goes back to a revision and follows it until it is ready; gives the new revision's number.
pub(crate) async fn return_to(
    session: &Session,
    to: u32,
    lease: &mut Lease,
) -> Result<u32, DeployError> {
    let started = Instant::now();
    session.helm.rollback(to, session.timeout()).await?;
    let kept = session.helm.get(to).await?;
    let objects = manifest::objects(&kept.manifest, "the earlier release")?;
    if session.inputs.wait {
        session
            .track(&objects, left(session.timeout(), started))
            .await?;
    }
    let history = session.helm.history().await?;
    let revision = history.last().map_or(to, |revision| revision.revision);
    remember_good(lease, revision).await?;
    Ok(revision)
}

fn with_previous(report: Report, previous: Option<u32>) -> Report {
    let previous = previous.map(|revision| revision.to_string());
    report.output("previous-revision", previous.unwrap_or_default())
}

fn with_workloads(report: Report, tracked: &[Tracked]) -> Report {
    if tracked.is_empty() {
        return report;
    }
    let mut markdown = String::from("\n| workload | ready after | |\n|---|---|---|\n");
    for Tracked {
        workload,
        seconds,
        state,
    } in tracked
    {
        let _ = writeln!(markdown, "| {workload} | {seconds:.1} s | {state} |");
    }
    report.field("workloads", tracked).markdown(markdown)
}
