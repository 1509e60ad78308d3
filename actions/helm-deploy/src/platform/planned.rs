//! The plan of all releases, made before anything is changed.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use action_kit::{Failed, Report, named};
use plan::{Change, Digest, Operation, Plan};

use super::error::{PlatformError, Wrong, wrong};
use super::file::Pin;
use super::order::{all_needs, in_order};
use super::{AT_ONCE, Release, Run, report};
use crate::error::DeployError;
use crate::foresee::Warning;
use crate::helm::Wanted;
use crate::inputs::Name;
use crate::observe::observe;
use crate::plan::Observed;
use crate::review;
use crate::session::Session;

/// A release and its plan.
pub(crate) struct Planned {
    pub(crate) session: Session,
    pub(crate) wanted: Wanted,
    pub(crate) observed: Observed,
    pub(crate) plan: Plan,
    /// What breaks the policy.
    pub(crate) broken: Vec<Warning>,
    /// What the API server says to it.
    pub(crate) tried: Vec<Warning>,
    /// Whether it may become another one when what it needs is installed.
    pub(crate) early: bool,
    new_namespace: bool,
}

/// A release's share in the plan of all.
#[derive(Clone, Debug)]
pub struct Share<'a> {
    /// The release.
    pub release: &'a Name,
    /// Its own plan.
    pub plan: &'a Plan,
    /// Whether it may become another one when what it needs is installed.
    pub early: bool,
}

/// Shows what `apply` would do.
pub(crate) async fn show(run: &Run) -> Result<Report, Failed> {
    let planned = plan_all(run).await?;
    let plan = whole(run, &planned);
    review::save(&run.inputs, &run.context, &plan)?;
    for one in &planned {
        let beginning = format!("{}: ", one.session.release);
        review::print_differences(&run.context, &beginning, &one.observed);
        let warnings = [one.broken.as_slice(), &one.tried].concat();
        named(one.session.release.as_str(), async {
            review::warn(&warnings);
        })
        .await;
    }
    let report = report::planned(&planned, &plan);
    let place = run.inputs.cluster.as_deref();
    let comment = &run.inputs.pull_request;
    let report = comment.show(&run.context, &plan, place, report).await;
    match allowed(&planned) {
        Ok(()) => Ok(report),
        Err(error) => Err(Failed::from(error).with(report)),
    }
}

/// Refuses releases that break the policy, when that is wanted.
pub(crate) fn allowed(planned: &[Planned]) -> Result<(), DeployError> {
    let mut planned = planned.iter();
    planned.try_for_each(|one| review::allowed(&one.session, one.broken.clone()))
}

/// Plans each release after those that it needs.
pub(crate) async fn plan_all(run: &Run) -> Result<Vec<Planned>, DeployError> {
    let needs = run.platform.needs();
    let planned: Vec<OnceCell<Planned>> = needs.iter().map(|_| OnceCell::new()).collect();
    let ended = in_order(&needs, AT_ONCE, async |one| -> Result<(), Failed> {
        let release = &run.platform.releases[one];
        let before = all_needs(&needs, one);
        let before: Vec<&Planned> = before
            .iter()
            .filter_map(|one| planned[*one].get())
            .collect();
        let own = named(release.name.as_str(), plan_one(run, release, &before)).await?;
        let _ = planned[one].set(own);
        Ok(())
    });
    match run.trouble(ended.await) {
        Some(error) => Err(error),
        None => Ok(planned
            .into_iter()
            .filter_map(OnceCell::into_inner)
            .collect()),
    }
}

/// Plans a release; `before` is everything that it needs.
async fn plan_one(
    run: &Run,
    release: &Release,
    before: &[&Planned],
) -> Result<Planned, DeployError> {
    let mut session = run.open(release)?;
    if let Some(pin) = &release.pin {
        let repository = pin.repository.as_deref();
        let archive = session
            .helm
            .pull(&release.chart, repository, &pin.version)
            .await?;
        let bytes = fs_err::read(&archive).map_err(DeployError::Scratch)?;
        hold(run, release, pin, Digest::of(bytes))?;
        session.archive = Some(archive);
    }
    let wanted = session.wanted()?;
    let mut early = before.iter().any(|one| brings_kinds(&one.plan));
    let mut observed = match observe(&session, &wanted, false).await {
        Err(error) if error.is_unknown_kind() && before.iter().any(|one| !one.plan.is_empty()) => {
            early = true;
            observe(&session, &wanted, true).await?
        }
        result => result?,
    };
    // Several releases may share it, so it belongs to the plan of all.
    let new_namespace = !std::mem::replace(&mut observed.namespace_exists, true);
    let plan = review::make(&session, &observed);
    let tried = if plan.is_empty() || early || new_namespace {
        Vec::new()
    } else {
        review::tried(&session, &mut observed).await?
    };
    if review::is_reviewed(&run.inputs) && !early {
        session.inputs.plan_digest = Some(plan.digest());
    }
    Ok(Planned {
        broken: review::broken_policy(&session, &observed),
        session,
        wanted,
        observed,
        plan,
        tried,
        early,
        new_namespace,
    })
}

/// Refuses a chart that is another than the one that was reviewed.
fn hold(run: &Run, release: &Release, pin: &Pin, found: Digest) -> Result<(), PlatformError> {
    if found == pin.digest {
        return Ok(());
    }
    let other = Wrong::OtherChart {
        chart: release.chart.clone(),
        version: pin.version.clone(),
        found,
        pinned: pin.digest.clone(),
    };
    Err(wrong(&run.platform.file, Some(pin.line), other))
}

/// Says whether kinds come with a release that are not there yet: a chart may ask for them.
fn brings_kinds(plan: &Plan) -> bool {
    plan.changes.iter().any(|change| {
        change.operation == Operation::Create && change.kind == "CustomResourceDefinition"
    })
}

/// Gives the namespaces that are to be made.
pub(crate) fn new_namespaces(planned: &[Planned]) -> BTreeSet<&str> {
    let new = planned.iter().filter(|one| one.new_namespace);
    new.map(|one| one.session.namespace.as_str()).collect()
}

/// Makes the plan of all releases.
pub(crate) fn whole(run: &Run, planned: &[Planned]) -> Plan {
    let shares: Vec<Share<'_>> = planned
        .iter()
        .map(|one| Share {
            release: &one.session.release,
            plan: &one.plan,
            early: one.early,
        })
        .collect();
    let created = jiff::Timestamp::now().to_string();
    combine(
        run.platform.subject(),
        &new_namespaces(planned),
        &shares,
        created,
    )
}

/// Puts the plans of releases together, in the order in which they are applied; `created` is the
/// caller's clock.
#[must_use]
pub fn combine(
    subject: String,
    namespaces: &BTreeSet<&str>,
    shares: &[Share<'_>],
    created: String,
) -> Plan {
    let mut changes: Vec<Change> = namespaces
        .iter()
        .map(|name| Change::new(Operation::Create, "Namespace", *name))
        .collect();
    for share in shares {
        let own = share.plan.changes.iter().cloned();
        changes.extend(own.map(|mut change| {
            change.known_after_apply |= share.early;
            change.part(share.release.as_str())
        }));
    }
    let observed: Vec<_> = shares
        .iter()
        .map(|share| (share.release, &share.plan.subject, &share.plan.observed))
        .collect();
    Plan::new(
        "helm-deploy",
        subject,
        Digest::of_json(&observed),
        changes,
        created,
    )
}
