//! Whether the Kubernetes minor is supported, near enough to what there is, and ready to come. Pure.

use jiff::civil::Date;

use super::facts::{ClusterFacts, Facts};
use super::finding::{Finding, Severity};
use super::wanted::Wanted;
use crate::config::KubernetesVersion;
use crate::eks::{Insight, Support};
use crate::manifests::Gone;
use crate::upgrade;

/// So long before the end of support it is told of, in days: an upgrade wants to be tried first.
const NOTICE: i32 = 90;
/// How many minors a kubelet may be behind its API server.
/// <https://kubernetes.io/releases/version-skew-policy/#kubelet>
const BEHIND: u32 = 3;

/// Looks at the minor and its support.
#[must_use]
pub(super) fn examine_support(wanted: &Wanted, facts: &Facts, today: Date) -> Finding {
    let minor = &wanted.kubernetes;
    let subject = format!("Kubernetes {minor}");
    let support = match &facts.support {
        Ok(support) => support,
        Err(unknown) => return Finding::unknown("kubernetes", subject, unknown),
    };
    let limit = "in standard support";
    let others = support
        .iter()
        .filter(|one| one.status == "STANDARD_SUPPORT");
    let mut others: Vec<&str> = others.map(|one| one.version.as_str()).collect();
    others.sort_unstable();
    let choose = format!(
        "choose one of {} as `kubernetes-version`",
        others.join(", ")
    );
    let found = support.iter().find(|one| one.version == minor.as_str());
    let Some(Support { status, ends, .. }) = found else {
        let finding = Finding::ok("kubernetes", subject, "EKS does not have it").limit(limit);
        return finding.but(Severity::Error, choose);
    };
    let until = ends.map_or_else(String::new, |ends| format!(" until {ends}"));
    let finding = |value: &str| Finding::ok("kubernetes", subject.clone(), value).limit(limit);
    match status.as_str() {
        "STANDARD_SUPPORT" => {
            let left = ends.and_then(|ends| Some((ends - today).get_days()).filter(|left| *left < NOTICE));
            let finding = finding(&format!("standard support{until}"));
            match left {
                Some(left) => finding.but(
                    Severity::Warning,
                    format!("{left} days are left, then EKS upgrades by itself: plan the next minor"),
                ),
                None => finding,
            }
        }
        "EXTENDED_SUPPORT" => finding(&format!("standard support{until}, extended now")).but(
            Severity::Warning,
            format!("EKS upgrades such a cluster by itself, since it asks for standard support: {choose}"),
        ),
        _ => finding("not supported").but(Severity::Error, choose),
    }
}

/// Looks at the step from the cluster's minor to the wanted one, and at the nodes' distance.
#[must_use]
pub(super) fn examine_step(wanted: &Wanted, cluster: &ClusterFacts) -> Vec<Finding> {
    let subject = format!("control plane of {}", cluster.name);
    let live = match &cluster.version {
        Ok(Some(live)) => live,
        Ok(None) => return Vec::new(),
        Err(unknown) => return vec![Finding::unknown("kubernetes", subject, unknown)],
    };
    let minor = &wanted.kubernetes;
    let finding = Finding::ok(
        "kubernetes",
        subject,
        format!("{live}, declared is {minor}"),
    );
    let finding = finding.limit("one minor at a time");
    let mut findings = vec![match upgrade::step(&cluster.name, live, minor) {
        Ok(_) => finding,
        Err(error) => finding.but(Severity::Error, error.hint()),
    }];
    match &cluster.groups {
        Ok(groups) => findings.extend(groups.iter().map(|(name, version)| {
            skew(name, version, live.parse().as_ref().unwrap_or(minor), minor)
        })),
        Err(unknown) => {
            findings.push(Finding::unknown("kubernetes", "node groups", unknown));
        }
    }
    findings
}

fn skew(
    name: &str,
    version: &str,
    live: &KubernetesVersion,
    wanted: &KubernetesVersion,
) -> Finding {
    let target = live.max(wanted);
    let value = format!("{version}, control plane {live}");
    let finding = Finding::ok("kubernetes", format!("nodes of {name}"), value);
    let finding = finding.limit(format!("at most {BEHIND} minors behind {target}"));
    let Ok(nodes) = version.parse::<KubernetesVersion>() else {
        return finding;
    };
    if nodes.minor() > live.minor() {
        let hint = "nodes may not be newer than the control plane: upgrade the cluster";
        finding.but(Severity::Error, hint)
    } else if target.minor() - nodes.minor() > BEHIND {
        let hint =
            "upgrade the nodes before the control plane: `apply` with the cluster's own minor";
        finding.but(Severity::Error, hint)
    } else if nodes.minor() < live.minor() {
        let hint = "an upgrade stopped half way: `apply` brings the nodes to the cluster's minor";
        finding.but(Severity::Warning, hint)
    } else {
        finding
    }
}

/// Looks at what EKS found out.
#[must_use]
pub(super) fn examine_insights(wanted: &Wanted, cluster: &ClusterFacts) -> Vec<Finding> {
    let subject = format!("upgrade insights of {}", cluster.name);
    match &cluster.insights {
        Err(unknown) => vec![Finding::unknown("insight", subject, unknown)],
        Ok(insights) if insights.is_empty() => {
            vec![Finding::ok("insight", subject, "all pass")]
        }
        Ok(insights) => insights.iter().map(|one| insight(one, wanted)).collect(),
    }
}

fn insight(insight: &Insight, wanted: &Wanted) -> Finding {
    let value = format!("{}: {}", insight.status, insight.detail());
    let finding = Finding::ok("insight", insight.name.clone(), value);
    let finding = finding.limit(match insight.version.as_str() {
        "" => String::new(),
        version => format!("before Kubernetes {version}"),
    });
    let severity = if insight.objects_to(&wanted.kubernetes) {
        Severity::Error
    } else {
        Severity::Warning
    };
    finding.but(severity, insight.recommendation.clone())
}

/// Looks at what manifests ask the API server for.
#[must_use]
pub(super) fn examine_manifests(wanted: &Wanted, files: usize, gone: &[Gone]) -> Vec<Finding> {
    let minor = &wanted.kubernetes;
    if gone.is_empty() {
        let value = format!("{files} files ask for nothing that is gone");
        return vec![Finding::ok(
            "manifest",
            format!("APIs of Kubernetes {minor}"),
            value,
        )];
    }
    let findings = gone.iter().map(|one| {
        let finding = Finding::ok("manifest", one.place(), one.api());
        let finding = finding.limit(format!("gone since Kubernetes 1.{}", one.since));
        finding.but(Severity::Error, one.hint())
    });
    findings.collect()
}
