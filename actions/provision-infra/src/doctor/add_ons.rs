//! Whether the versions of add-ons fit the Kubernetes minor. Pure.

use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::wanted::Wanted;
use crate::config::{AddOnVersion, KubernetesVersion};
use crate::eks::Offered;

/// Looks at each add-on.
#[must_use]
pub(super) fn examine(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let installed = facts.cluster.as_ref().map(|cluster| &cluster.installed);
    let findings = wanted.add_ons.iter().map(|(name, declared)| {
        let installed = match installed {
            Some(Ok(installed)) => installed.get(*name).map(String::as_str),
            Some(Err(unknown)) => return Finding::unknown("add-on", *name, unknown),
            None => None,
        };
        let offered = match facts.offered.get(name) {
            Some(Ok(offered)) => offered.as_slice(),
            Some(Err(unknown)) => return Finding::unknown("add-on", *name, unknown),
            None => &[],
        };
        judge(
            name,
            declared.as_ref(),
            installed,
            offered,
            &wanted.kubernetes,
        )
    });
    findings.collect()
}

fn judge(
    name: &str,
    declared: Option<&AddOnVersion>,
    installed: Option<&str>,
    offered: &[Offered],
    minor: &KubernetesVersion,
) -> Finding {
    let default = offered
        .iter()
        .find(|one| one.is_default)
        .or(offered.first());
    let default = default.map_or("none", |one| one.version.as_str());
    let finding = |value: String| {
        let limit = format!("fits Kubernetes {minor}; the default is {default}");
        Finding::ok("add-on", name, value).limit(limit)
    };
    let fits = |version: &str| offered.iter().any(|one| one.version == version);
    let hint = format!("set `{name}: {default}` below `add-ons`");
    match (declared.map(AddOnVersion::as_str), installed) {
        (Some(declared), _) if fits(declared) => finding(format!("{declared}, declared")),
        (Some(declared), _) => finding(format!("{declared}, declared")).but(Severity::Error, hint),
        (None, Some(installed)) if fits(installed) => finding(format!("{installed}, installed")),
        (None, Some(installed)) => finding(format!("{installed}, installed")).but(
            Severity::Warning,
            format!("an add-on keeps its version until one is declared: {hint}"),
        ),
        (None, None) if offered.is_empty() => finding("no version".into()).but(
            Severity::Error,
            "EKS has no version of it for this minor: choose another `kubernetes-version`",
        ),
        (None, None) => finding(format!("{default}, the default")),
    }
}
