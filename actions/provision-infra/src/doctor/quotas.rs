//! Whether the account may have what the environment asks for. Pure.

use std::collections::BTreeMap;

use super::account::{Machine, Quota};
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::wanted::{Group, Wanted};
use super::zones::chosen;
use crate::answer::Unknown;

/// VPCs of a region.
const VPCS: Quota = Quota {
    service: "vpc",
    code: "L-F678F1CE",
};
/// Elastic IP addresses of a region.
const ADDRESSES: Quota = Quota {
    service: "ec2",
    code: "L-0263D0A3",
};
/// NAT gateways of a zone.
const GATEWAYS: Quota = Quota {
    service: "vpc",
    code: "L-FE5A380F",
};
/// EKS clusters of a region.
const CLUSTERS: Quota = Quota {
    service: "eks",
    code: "L-1194D53C",
};
/// Virtual processors of a region that run on demand, in the standard families.
const PROCESSORS: Quota = Quota {
    service: "ec2",
    code: "L-1216C47A",
};
/// All of them. The codes are the same in all regions.
/// <https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html>
pub const ALL: [Quota; 5] = [VPCS, ADDRESSES, GATEWAYS, CLUSTERS, PROCESSORS];

/// The standard families: what stands before the number of the generation.
const STANDARD: [&str; 11] = ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"];

/// Says whether an instance type counts towards the quota of the standard families.
#[must_use]
pub fn is_standard(kind: &str) -> bool {
    let family = kind
        .split(|character: char| !character.is_ascii_lowercase())
        .next();
    family.is_some_and(|family| STANDARD.contains(&family))
}

/// Looks at all quotas.
#[must_use]
pub fn examine(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let clusters = facts.clusters.as_ref().map(Vec::len);
    let counted = |kind: &str| {
        let made = facts.made.get(kind).copied().unwrap_or_default();
        wanted.count(kind).saturating_sub(made)
    };
    let count = |subject, quota, used, more| {
        Count {
            subject,
            quota,
            used,
            more,
        }
        .judge(facts)
    };
    let mut findings = vec![
        count(
            "VPCs of the region",
            VPCS,
            facts.vpcs.as_ref().copied(),
            counted("AWS::EC2::VPC"),
        ),
        count(
            "Elastic IP addresses of the region",
            ADDRESSES,
            facts.elastic_addresses.as_ref().copied(),
            counted("AWS::EC2::EIP"),
        ),
        count(
            "EKS clusters of the region",
            CLUSTERS,
            clusters,
            counted("AWS::EKS::Cluster"),
        ),
    ];
    findings.extend(gateways(wanted, facts, counted("AWS::EC2::NatGateway")));
    findings.push(processors(wanted, facts));
    findings
}

/// What counts towards a quota.
struct Count<'a> {
    subject: &'a str,
    quota: Quota,
    used: Result<usize, &'a Unknown>,
    more: usize,
}

impl Count<'_> {
    fn judge(self, facts: &Facts) -> Finding {
        let Self {
            subject,
            quota,
            more,
            ..
        } = self;
        let (used, limit) = match (self.used, limit(facts, quota)) {
            (Ok(used), Ok(limit)) => (used, limit),
            (Err(unknown), _) | (_, Err(unknown)) => {
                return Finding::unknown("quota", subject, unknown);
            }
        };
        let finding = Finding::ok("quota", subject, format!("{used} used, {more} more wanted"));
        let finding = finding.limit(limit.to_string());
        if used + more <= limit {
            return finding;
        }
        let hint = raise(quota, used + more);
        finding.but(Severity::Error, hint)
    }
}

fn raise(quota: Quota, least: usize) -> String {
    let Quota { service, code } = quota;
    format!(
        "have the quota raised to {least} or more, or delete what is not needed: `aws \
         service-quotas request-service-quota-increase --service-code {service} --quota-code \
         {code} --desired-value {least}`"
    )
}

/// Gives a quota, which AWS writes as a fraction.
fn limit(facts: &Facts, quota: Quota) -> Result<usize, &Unknown> {
    let value = match facts.quotas.get(quota.code) {
        Some(Ok(value)) => *value,
        Some(Err(unknown)) => return Err(unknown),
        None => 0.0,
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a quota is a small whole number"
    )]
    Ok(value as usize)
}

/// Looks at each zone that has a NAT gateway of the environment, or gets one.
fn gateways(wanted: &Wanted, facts: &Facts, more: usize) -> Vec<Finding> {
    let subject = "NAT gateways of a zone";
    let (gateways, subnets, zones) = match (&facts.nat_gateways, &facts.subnets, &facts.zones) {
        (Ok(gateways), Ok(subnets), Ok(zones)) => (gateways, subnets, zones),
        (Err(unknown), ..) | (_, Err(unknown), _) | (.., Err(unknown)) => {
            return vec![Finding::unknown("quota", subject, unknown)];
        }
    };
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for subnet in gateways.iter().filter_map(|subnet| subnets.get(subnet)) {
        *used.entry(&subnet.zone).or_default() += 1;
    }
    let chosen = chosen(wanted, zones);
    let of_zones = chosen.iter().take(wanted.count("AWS::EC2::NatGateway"));
    let findings = of_zones.map(|zone| {
        let count = Count {
            subject: &format!("NAT gateways of {zone}"),
            quota: GATEWAYS,
            used: Ok(used.get(zone.as_str()).copied().unwrap_or_default()),
            more: more.min(1),
        };
        count.judge(facts)
    });
    findings.collect()
}

/// Looks at the virtual processors of the nodes: the fewest must be to be had, the most should be.
fn processors(wanted: &Wanted, facts: &Facts) -> Finding {
    let subject = "vCPUs of standard instances on demand";
    let found = (&facts.instances, &facts.machines, limit(facts, PROCESSORS));
    let (instances, machines, limit) = match found {
        (Ok(instances), Ok(machines), Ok(limit)) => (instances, machines, limit),
        (Err(unknown), ..) | (_, Err(unknown), _) | (.., Err(unknown)) => {
            return Finding::unknown("quota", subject, unknown);
        }
    };
    let others = instances.iter().filter(|one| !one.own);
    let used: usize = others.map(|one| vcpus(machines, &one.kind)).sum();
    let nodes = |number: fn(&Group) -> u32, largest: bool| -> usize {
        let groups = wanted.groups.iter().map(|group| {
            let mut each = group.kinds.iter().map(|kind| vcpus(machines, kind));
            let each = if largest { each.max() } else { each.next() };
            each.unwrap_or_default() * number(group) as usize
        });
        groups.sum()
    };
    let (fewest, most) = (
        nodes(|group| group.min, false),
        nodes(|group| group.max, true),
    );
    let value = format!("{used} used by others, {fewest} to {most} wanted");
    let finding = Finding::ok("quota", subject, value).limit(limit.to_string());
    if used + fewest > limit {
        finding.but(Severity::Error, raise(PROCESSORS, used + most))
    } else if used + most > limit {
        finding.but(
            Severity::Warning,
            format!(
                "the groups do not reach their `max`; {}",
                raise(PROCESSORS, used + most)
            ),
        )
    } else {
        finding
    }
}

fn vcpus(machines: &BTreeMap<String, Machine>, kind: &str) -> usize {
    let counted = machines.get(kind).filter(|_| is_standard(kind));
    counted.map_or(0, |machine| machine.vcpus as usize)
}
