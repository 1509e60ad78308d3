//! Whether there are three zones, and machines to be had in them. Pure.

use super::account::Zone;
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::wanted::{Group, Wanted};

/// Zones, by their identifiers, that EKS makes no control plane in.
/// <https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html>
const WITHOUT_EKS: [&str; 3] = ["cac1-az3", "use1-az3", "usw1-az2"];
/// How many zones an environment has.
const WANTED: usize = 3;

/// Gives the zones that an environment would be made in: those that the file names, else the
/// region's first three.
#[must_use]
pub(super) fn chosen(wanted: &Wanted, zones: &[Zone]) -> Vec<String> {
    match &wanted.zones {
        Some(zones) => zones.0.to_vec(),
        None => usable(zones)
            .take(WANTED)
            .map(|zone| zone.name.clone())
            .collect(),
    }
}

fn usable(zones: &[Zone]) -> impl Iterator<Item = &Zone> {
    zones.iter().filter(|zone| {
        zone.kind == "availability-zone" && zone.opted_in && zone.state == "available"
    })
}

/// Looks at the zones.
#[must_use]
pub(super) fn examine(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let zones = match &facts.zones {
        Ok(zones) => zones,
        Err(unknown) => return vec![Finding::unknown("zone", "zones of the region", unknown)],
    };
    let names: Vec<&str> = usable(zones).map(|zone| zone.name.as_str()).collect();
    let chosen = chosen(wanted, zones);
    if chosen.len() < WANTED {
        let finding = Finding::ok("zone", "zones of the region", names.join(", "));
        let hint = "an environment has three availability zones: choose another region";
        return vec![finding.limit("three").but(Severity::Error, hint)];
    }
    let findings = chosen.iter().map(|name| {
        let found = zones.iter().find(|zone| zone.name == *name);
        judge(name, found, &names)
    });
    findings.collect()
}

fn judge(name: &str, found: Option<&Zone>, others: &[&str]) -> Finding {
    let finding = |value: &str| Finding::ok("zone", name, value).limit("available, with EKS");
    let others = format!("name three of {} in `zones`", others.join(", "));
    match found {
        None => finding("not in the region").but(Severity::Error, others),
        Some(zone) if zone.kind != "availability-zone" => {
            finding(&format!("a {}", zone.kind)).but(Severity::Error, others)
        }
        Some(zone) if !zone.opted_in => finding("the account has not opted in").but(
            Severity::Error,
            format!("enable the zone in the settings of EC2, or {others}"),
        ),
        Some(zone) if zone.state != "available" => {
            finding(&zone.state).but(Severity::Error, others)
        }
        Some(zone) if WITHOUT_EKS.contains(&zone.id.as_str()) => {
            finding(&format!("{}, without EKS", zone.id)).but(Severity::Error, others)
        }
        Some(zone) => finding(&zone.id),
    }
}

/// Looks at the instance types of the node groups: each zone must offer one, and should offer all.
#[must_use]
pub(super) fn examine_machines(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let (all, offered) = match (&facts.zones, &facts.offerings) {
        (Ok(zones), Ok(offered)) => (zones, offered),
        (Err(unknown), _) | (_, Err(unknown)) => {
            let subject = "instance types of the node groups";
            return vec![Finding::unknown("instance-type", subject, unknown)];
        }
    };
    let zones = chosen(wanted, all);
    let findings = wanted.groups.iter().map(|group| {
        let of_group = group.zones.iter().filter_map(|zone| zones.get(*zone));
        // A zone that is none has its own finding.
        let of_group = of_group.filter(|zone| usable(all).any(|one| one.name == **zone));
        let lacks: Vec<(&str, Vec<&str>)> = of_group
            .map(|zone| {
                let there = |kind: &&String| offered.contains(&((*kind).clone(), zone.clone()));
                let lacking = group.kinds.iter().filter(|kind| !there(kind));
                (zone.as_str(), lacking.map(String::as_str).collect())
            })
            .filter(|(_, lacking): &(_, Vec<&str>)| !lacking.is_empty())
            .collect();
        offers(group, &lacks)
    });
    findings.collect()
}

fn offers(group: &Group, lacks: &[(&str, Vec<&str>)]) -> Finding {
    let limit = "offered in every zone of the group";
    let finding = |value: String| Finding::ok("instance-type", &group.name, value).limit(limit);
    if lacks.is_empty() {
        return finding(group.kinds.join(", "));
    }
    let nothing = lacks
        .iter()
        .any(|(_, kinds)| kinds.len() == group.kinds.len());
    let parts = lacks
        .iter()
        .map(|(zone, kinds)| format!("no {} in {zone}", kinds.join(", ")));
    let value = parts.collect::<Vec<_>>().join("; ");
    if nothing {
        let hint =
            "the zone offers none of the group's `instance-types`: name others, or other `zones`";
        return finding(value).but(Severity::Error, hint);
    }
    let hint = "the zone has nodes of the other types only: name types that all zones offer";
    finding(value).but(Severity::Warning, hint)
}
