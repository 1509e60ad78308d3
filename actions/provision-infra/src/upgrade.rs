//! The step of a cluster from one Kubernetes minor to the next: the control plane, then add-ons,
//! then nodes. A step that EKS would refuse, or that something would not survive, is refused before
//! anything changes.

use std::fmt;

use serde::Serialize;

use crate::answer::Unknown;
use crate::config::KubernetesVersion;
use crate::eks::{Eks, Insight};
use crate::error::{InfraError, UpgradeError};
use crate::layers::Layer;
use crate::manifests::Gone;
use crate::stack::{Condition, Stack};

/// An upgrade that nothing objects to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upgrade {
    /// The cluster.
    pub cluster: String,
    /// The minor that it has.
    pub from: String,
    /// The minor that it gets.
    pub to: String,
    /// What is to be looked at all the same.
    pub warnings: Vec<String>,
}

impl fmt::Display for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster, from, to, ..
        } = self;
        write!(
            f,
            "This upgrades Kubernetes of `{cluster}` from {from} to {to}: the control plane, then \
             add-ons, then nodes, of which new ones come before old ones go. EKS can take the \
             control plane back for seven days."
        )?;
        for warning in &self.warnings {
            write!(f, "\n- to be looked at: {warning}")?;
        }
        Ok(())
    }
}

/// Says which minor a cluster comes from, when the declared one is a step; refuses what is none.
pub fn step(
    cluster: &str,
    live: &str,
    declared: &KubernetesVersion,
) -> Result<Option<KubernetesVersion>, UpgradeError> {
    let Ok(live) = live.parse::<KubernetesVersion>() else {
        return Ok(None);
    };
    let (cluster, declared) = (cluster.to_owned(), declared.clone());
    match i64::from(declared.minor()) - i64::from(live.minor()) {
        0 => Ok(None),
        1 => Ok(Some(live)),
        2.. => Err(UpgradeError::TooFar {
            cluster,
            live,
            declared,
        }),
        _ => Err(UpgradeError::Backwards {
            cluster,
            live,
            declared,
        }),
    }
}

/// Weighs what EKS found out and what manifests ask for; gives what is to be looked at.
pub fn weigh(
    cluster: &str,
    declared: &KubernetesVersion,
    insights: &[Insight],
    gone: &[Gone],
) -> Result<Vec<String>, UpgradeError> {
    let concerning = insights.iter().filter(|one| one.concerns(declared));
    let (objecting, warning): (Vec<_>, Vec<_>) =
        concerning.partition(|one| one.objects_to(declared));
    let mut objections: Vec<String> = objecting.into_iter().map(ToString::to_string).collect();
    objections.extend(gone.iter().map(|one| {
        let (place, api) = (one.place(), one.api());
        format!(
            "{place}: {api} is gone since 1.{}: {}",
            one.since,
            one.hint()
        )
    }));
    if objections.is_empty() {
        return Ok(warning.into_iter().map(ToString::to_string).collect());
    }
    Err(UpgradeError::NotReady {
        cluster: cluster.into(),
        declared: declared.clone(),
        objections,
    })
}

/// Looks at a cluster before a plan; gives the upgrade, when it is one. What may not be looked at
/// is told and does not refuse: EKS itself refuses a step that is none.
pub async fn check(
    eks: &Eks,
    cluster: &str,
    declared: &KubernetesVersion,
    gone: impl FnOnce() -> Result<Vec<Gone>, InfraError>,
) -> Result<Option<Upgrade>, InfraError> {
    let live = match eks.version(cluster).await {
        Ok(Some(live)) => live,
        Ok(None) => return Ok(None),
        Err(unknown) => {
            tolerate(cluster, unknown)?;
            return Ok(None);
        }
    };
    let Some(from) = step(cluster, &live, declared)? else {
        return Ok(None);
    };
    let mut unseen = Vec::new();
    let insights = match eks.insights(cluster).await {
        Ok(insights) => insights,
        Err(unknown) => {
            unseen.push(tolerate(cluster, unknown)?);
            Vec::new()
        }
    };
    let mut warnings = weigh(cluster, declared, &insights, &gone()?)?;
    warnings.extend(unseen);
    Ok(Some(Upgrade {
        cluster: cluster.into(),
        from: from.to_string(),
        to: declared.to_string(),
        warnings,
    }))
}

/// Goes on without an answer when the credentials may not have one.
fn tolerate(cluster: &str, unknown: Unknown) -> Result<String, InfraError> {
    let Unknown { action, .. } = unknown;
    if unknown.is_denied() {
        let told = format!("the credentials may not `{action}`: nobody looked at `{cluster}`");
        tracing::warn!("{told}");
        return Ok(told);
    }
    Err(InfraError::Call {
        doing: format!("look at the cluster `{cluster}` ({action})"),
        source: unknown.source,
    })
}

/// Gives the layers in the order in which they are changed: the add-ons of an environment that has
/// both come before its nodes, which they wait for only when they are made.
#[must_use]
pub fn order(layers: &[Layer], stacks: &[Stack]) -> Vec<Layer> {
    let mut layers = layers.to_vec();
    let place = |name: &str| layers.iter().position(|layer| layer.name == name);
    if let (Some(nodes), Some(add_ons)) = (place("nodes"), place("add-ons")) {
        let is_ready = |layer: &Layer| {
            let mut found = stacks.iter().filter(|stack| stack.name == layer.stack);
            found.any(|stack| stack.condition() == Condition::Ready)
        };
        let both = is_ready(&layers[nodes]) && is_ready(&layers[add_ons]);
        let outputs = &layers[nodes].template.outputs;
        let mut parameters = layers[add_ons].template.parameters.keys();
        if both && !parameters.any(|name| outputs.contains(name)) {
            layers[nodes..=add_ons].rotate_right(1);
        }
    }
    layers
}
