//! A new version that gets its requests step by step, before the release is upgraded.
//!
//! The steps change nothing that Helm would not put right: the new version's objects are owned by
//! the old Deployment, and the routes stand in the release's own `IngressRoute`, in Helm's name.
//! Every upgrade, `helm rollback` and `helm uninstall` takes the routes away; what a killed run
//! left besides is cleared by the next one. Helm's history has one revision, as without steps.

use std::fmt::Write as _;
use std::slice::from_ref;
use std::time::Duration;

use action_kit::Report;
use cluster::{Cluster, ClusterError, Workload, WorkloadKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{DeployError, StepCause};
use crate::manifest::Objects;
use crate::observe::{HELM, release};
use crate::plan::{Live, Observed};
use crate::session::Session;
use crate::split::{HEADER, NEXT_OF, Split, ended, ingress_routes, routes, split};
use crate::traffic::{Tally, Traffic};

/// How long a route takes to be what everybody goes by: Traefik takes up changes every 2 s.
const SETTLE: Duration = Duration::from_secs(4);
const POLL_EVERY: Duration = Duration::from_secs(1);
/// A pod that was ready and is not gets this long to become so again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A step that was passed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Passed {
    /// The share of all requests.
    pub percent: u32,
    /// How many pods of the new version there were.
    pub pods: u64,
    /// What came of the requests to the new version alone.
    pub requests: Tally,
}

/// A new version that has passed its steps and runs beside the old one.
#[derive(Debug)]
pub(crate) struct Climbed {
    split: Split,
    /// The steps.
    pub passed: Vec<Passed>,
}

/// Says how a release would be split, when steps are asked for.
pub(crate) fn wanted(session: &Session, observed: &Observed) -> Result<Option<Split>, DeployError> {
    let (Some(_), Some(live)) = (&session.inputs.steps.steps, &observed.live) else {
        return Ok(None);
    };
    let release = session.release.as_str();
    split(release, &live.objects, &observed.wanted, &observed.hooks).map_err(|source| {
        DeployError::NoSteps {
            release: release.into(),
            source,
        }
    })
}

/// Takes the new version up its steps; one that fails ends with all requests at the old version.
pub(crate) async fn climb(
    session: &Session,
    observed: &Observed,
    traffic: Option<&Traffic>,
) -> Result<Option<Climbed>, DeployError> {
    let inputs = &session.inputs.steps;
    let (Some(steps), Some(live), Some(traffic)) = (&inputs.steps, &observed.live, traffic) else {
        return Ok(None);
    };
    let Some(split) = wanted(session, observed)? else {
        tracing::info!("steps: none, since the pods stay as they are");
        return Ok(None);
    };
    let mut passed = Vec::new();
    for percent in steps.percents() {
        tracing::info!("step {percent} %: begins");
        match step(session, &split, live, *percent, traffic).await {
            Ok(step) => {
                tracing::info!("step {percent} %: passed, {}", step.requests);
                passed.push(step);
            }
            Err(cause) => {
                tracing::info!("step {percent} %: {cause}");
                tracing::info!("traffic: {}", traffic.so_far());
                return Err(DeployError::Step {
                    release: session.release.to_string(),
                    percent: *percent,
                    cause: Box::new(cause),
                    afterwards: give_up(session, live).await,
                });
            }
        }
    }
    Ok(Some(Climbed { split, passed }))
}

async fn give_up(session: &Session, live: &Live) -> String {
    if !session.inputs.rollback_on_failure {
        return "left as it is (`rollback-on-failure` is false)".into();
    }
    match take_back(session, &live.objects).await {
        Ok(()) => format!("all requests go to revision {} again", live.revision),
        Err(error) => format!(
            "and giving all requests back to revision {} failed: {error}",
            live.revision
        ),
    }
}

impl Climbed {
    /// Puts the steps into a report.
    pub(crate) fn describe(&self, report: Report) -> Report {
        let mut markdown = String::from(
            "\n| step | pods of the new version | requests to it | failed |\n|---|---|---|---|\n",
        );
        for step in &self.passed {
            let _ = writeln!(
                markdown,
                "| {} % | {} | {} | {} |",
                step.percent, step.pods, step.requests.sent, step.requests.failed
            );
        }
        report.field("steps", &self.passed).markdown(markdown)
    }

    /// Keeps the new version's share while the release is upgraded, which took its routes away: the
    /// old Deployment may have become smaller with its requests.
    pub(crate) async fn keep(&self, session: &Session, upgraded: &Objects) {
        let percent = self.passed.last().map_or(0, |step| step.percent);
        let objects = routes(upgraded, &self.split.services, percent);
        if let Err(error) = in_helm_s_name(session, &objects).await {
            tracing::warn!("keep the requests of the new version: {error}");
        }
    }
}

/// Takes away what steps left beside a revision: the routes first, then, when nobody goes by them
/// any more, the new version's objects.
pub(crate) async fn clear(
    session: &Session,
    revision: u32,
    objects: &Objects,
) -> Result<(), ClusterError> {
    if left(session, objects).await?.is_empty() {
        return Ok(());
    }
    tracing::info!("steps: all requests go to revision {revision}, the version beside it ends");
    take_back(session, objects).await
}

/// Takes away what is left of the steps when the upgrade after them failed.
pub(crate) async fn end(session: &Session) {
    let mut now = Observed::default();
    let cleared = async {
        release(&session.helm, &mut now).await?;
        match &now.live {
            Some(live) => Ok(clear(session, live.revision, &live.objects).await?),
            None => Ok::<(), DeployError>(()),
        }
    };
    if let Err(error) = cleared.await {
        tracing::warn!("end the version of the steps: {error}; the next run does it");
    }
}

async fn take_back(session: &Session, objects: &Objects) -> Result<(), ClusterError> {
    let whole: Vec<Value> = ingress_routes(objects)
        .map(|(_, object)| object.clone())
        .collect();
    in_helm_s_name(session, &whole).await?;
    tokio::time::sleep(SETTLE).await;
    let namespace = session.namespace.as_str();
    for (namespace_of, name) in left(session, objects).await? {
        let namespace = namespace_of.as_deref().unwrap_or(namespace);
        // What it owns goes with it.
        let cluster = session.cluster();
        cluster
            .delete("apps/v1", "Deployment", namespace, &name)
            .await?;
    }
    Ok(())
}

/// Finds the Deployments that steps made.
async fn left(
    session: &Session,
    objects: &Objects,
) -> Result<Vec<(Option<String>, String)>, ClusterError> {
    let mut found = Vec::new();
    let release = session.release.as_str();
    for id in objects.keys().filter(|id| id.kind == "Deployment") {
        let namespace = id
            .namespace
            .as_deref()
            .unwrap_or(session.namespace.as_str());
        let name = ended(&id.name);
        let there = session
            .cluster()
            .get("apps/v1", "Deployment", namespace, &name);
        if let Some(there) = there.await?
            && there["metadata"]["labels"][NEXT_OF] == release
        {
            found.push((id.namespace.clone(), name));
        }
    }
    Ok(found)
}

async fn step(
    session: &Session,
    split: &Split,
    live: &Live,
    percent: u32,
    traffic: &Traffic,
) -> Result<Passed, StepCause> {
    let pods = scale(session, split, percent).await?;
    let next = next(session, split);
    let rollout = cluster::Rollout::new(vec![next.clone()], session.timeout());
    let allowed = session.inputs.traffic.traffic_failures;
    let ready = async {
        session.cluster().track(&rollout).await?;
        let routed = routes(&live.objects, &split.services, percent);
        in_helm_s_name(session, &routed).await?;
        tokio::time::sleep(SETTLE).await;
        Ok::<(), ClusterError>(())
    };
    tokio::select! {
        ready = Box::pin(ready) => ready?,
        () = traffic.fails(allowed) => return Err(loses(traffic, allowed)),
    }
    let requests = Box::pin(watch(session, &next, traffic)).await?;
    Ok(Passed {
        percent,
        pods,
        requests,
    })
}

/// Applies the new version with as many pods as its share of the requests asks for.
async fn scale(session: &Session, split: &Split, percent: u32) -> Result<u64, ClusterError> {
    let cluster = session.cluster();
    let own = session.namespace.as_str();
    let namespace = split.old.namespace.as_deref().unwrap_or(own);
    let old = cluster
        .get("apps/v1", "Deployment", namespace, &split.old.name)
        .await?
        .unwrap_or_default();
    let running = old["spec"]["replicas"].as_u64().unwrap_or(1);
    let pods = (running * u64::from(percent)).div_ceil(100).max(1);
    let mut deployment = split.deployment.clone();
    deployment["spec"]["replicas"] = json!(pods);
    owned(&mut deployment, &old);
    cluster.apply(from_ref(&deployment), own).await?;
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let made = cluster
        .get("apps/v1", "Deployment", namespace, name)
        .await?;
    let made = made.unwrap_or_default();
    let mut around = split.around.clone();
    for object in &mut around {
        owned(object, &made);
    }
    cluster.apply(&around, own).await?;
    Ok(pods)
}

/// Lets an object end with another.
fn owned(object: &mut Value, owner: &Value) {
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }]);
}

fn next(session: &Session, split: &Split) -> Workload {
    let own = session.namespace.as_str();
    let namespace = split.old.namespace.as_deref().unwrap_or(own);
    Workload::new(WorkloadKind::Deployment, namespace, ended(&split.old.name))
}

/// Sends requests to the new version alone for the time of a step, while its pods are looked at.
async fn watch(session: &Session, next: &Workload, traffic: &Traffic) -> Result<Tally, StepCause> {
    let inputs = &session.inputs;
    let seconds = inputs.steps.step_seconds;
    let planned = u64::from(traffic.rate) * u64::from(seconds);
    let percent = inputs.steps.step_failures_percent;
    let allowed = planned * u64::from(percent) / 100;
    let of_all = inputs.traffic.traffic_failures;
    let alone = traffic.to(HEADER);
    let outcome = tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(seconds.into())) => Ok(()),
        broken = stays_ready(session.cluster(), next) => Err(broken.into()),
        () = alone.fails(allowed) => Ok(()),
        () = traffic.fails(of_all) => Err(loses(traffic, of_all)),
    };
    let tally = alone.finish().await;
    outcome?;
    if tally.failed > allowed {
        return Err(StepCause::Fails { tally, percent });
    }
    Ok(tally)
}

/// Ends when a pod that was ready is not, and does not become so again soon.
async fn stays_ready(cluster: &Cluster, next: &Workload) -> ClusterError {
    loop {
        tokio::time::sleep(POLL_EVERY).await;
        let rollout = cluster::Rollout::new(vec![next.clone()], PATIENCE);
        let seen = match cluster.progress_of(next).await {
            Ok(progress) if progress.ready => continue,
            Ok(_) => cluster.track(&rollout).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = seen {
            return error;
        }
    }
}

fn loses(traffic: &Traffic, allowed: u64) -> StepCause {
    StepCause::Loses {
        tally: traffic.so_far(),
        allowed,
    }
}

/// Applies objects of the release as Helm does: with what it adds to every object, and as the owner
/// of the same fields, so that its next change replaces them.
async fn in_helm_s_name(session: &Session, objects: &[Value]) -> Result<(), ClusterError> {
    let objects: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut object = object.clone();
            let metadata = &mut object["metadata"];
            metadata["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
            metadata["annotations"]["meta.helm.sh/release-name"] = json!(session.release.as_str());
            metadata["annotations"]["meta.helm.sh/release-namespace"] =
                json!(session.namespace.as_str());
            object
        })
        .collect();
    let namespace = session.namespace.as_str();
    session
        .cluster()
        .apply_as(HELM, &objects, namespace)
        .await
        .map(|_| ())
}
