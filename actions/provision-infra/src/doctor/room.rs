//! Whether subnets have addresses for the nodes and their pods. Pure.

use super::account::Machine;
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::wanted::{Group, Place, Wanted};
use crate::answer::Unknown;

/// A zone's subnet: what it has, and what its nodes take.
struct Zone {
    room: u32,
    fewest: u32,
    most: u32,
}

/// Looks at the subnets of each kind that has nodes.
#[must_use]
pub(super) fn examine(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let findings = wanted.subnets.iter().map(|(kind, places)| {
        let subject = format!("{} subnets", kind.to_lowercase());
        let groups = wanted.groups.iter().filter(|group| group.subnets == *kind);
        let groups: Vec<&Group> = groups.collect();
        match zones(places, &groups, facts) {
            Ok(zones) => judge(&subject, &groups, &zones, facts),
            Err(unknown) => Finding::unknown("addresses", subject, unknown),
        }
    });
    findings.collect()
}

fn zones<'a>(
    places: &[Place],
    groups: &[&Group],
    facts: &'a Facts,
) -> Result<Vec<Zone>, &'a Unknown> {
    let machines = facts.machines.as_ref()?;
    let zones = places.iter().enumerate().map(|(zone, place)| {
        let here = groups.iter().filter(|group| group.zones.contains(&zone));
        let taken = |number: fn(&Group) -> u32| -> u32 {
            let groups = here.clone().map(|group| {
                // One group over several zones has its nodes spread evenly.
                let nodes = number(group).div_ceil(group.zones.len().try_into().unwrap_or(1));
                let each = group.kinds.iter().filter_map(|kind| machines.get(kind));
                nodes * each.map(addresses).max().unwrap_or_default()
            });
            groups.sum()
        };
        Ok(Zone {
            room: room(place, facts)?,
            fewest: taken(|group| group.min),
            most: taken(|group| group.max),
        })
    });
    zones.collect()
}

/// Gives the addresses that a node and its pods take at most: whole interfaces, and one in advance.
fn addresses(machine: &Machine) -> u32 {
    let each = machine.addresses.saturating_sub(1).max(1);
    let interfaces = pods(machine).saturating_sub(2).div_ceil(each) + 1;
    interfaces.min(machine.interfaces) * machine.addresses
}

/// Gives the pods that a node has at most: the first address of an interface is the node's own, and
/// two pods use that; a managed node group has a limit of its own.
/// <https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html>
fn pods(machine: &Machine) -> u32 {
    let most = if machine.vcpus < 30 { 110 } else { 250 };
    most.min(machine.interfaces * machine.addresses.saturating_sub(1) + 2)
}

/// Gives the addresses that are free, or that the environment's own nodes have.
fn room<'a>(place: &Place, facts: &'a Facts) -> Result<u32, &'a Unknown> {
    let id = match place {
        Place::Planned { addresses } => return Ok(*addresses),
        Place::Made { id } => id,
    };
    let (subnets, instances) = (facts.subnets.as_ref()?, facts.instances.as_ref()?);
    let own = instances.iter().filter(|one| one.own && one.subnet == *id);
    let own: u32 = own.map(|one| one.addresses).sum();
    Ok(own + subnets.get(id).map_or(0, |subnet| subnet.free))
}

fn judge(subject: &str, groups: &[&Group], zones: &[Zone], facts: &Facts) -> Finding {
    let tightest = zones
        .iter()
        .min_by_key(|zone| i64::from(zone.room) - i64::from(zone.most));
    let Some(Zone { room, fewest, most }) = tightest else {
        return Finding::ok("addresses", subject, "none").but(
            Severity::NotChecked,
            "neither the network nor `infrastructure.yaml` says how large they are",
        );
    };
    let kinds = groups.iter().flat_map(|group| &group.kinds);
    let machines = kinds.filter_map(|kind| facts.machines.as_ref().ok()?.get(kind));
    let Some(pods) = machines.map(pods).max() else {
        let hint = "name instance types that the region has";
        return Finding::ok("addresses", subject, "instance types that there are not")
            .but(Severity::NotChecked, hint);
    };
    let nodes: u32 = groups.iter().map(|group| group.max).sum();
    let value = format!("{most} in a zone: nodes at most {nodes}, pods on each {pods}");
    let finding = Finding::ok("addresses", subject, value).limit(format!("{room} free in a zone"));
    let hint = "a larger `cidr` before the network is made, fewer nodes (`max`), or smaller instance types";
    if fewest > room {
        finding.but(Severity::Error, hint)
    } else if most > room {
        finding.but(
            Severity::Warning,
            format!("pods will wait for addresses: {hint}"),
        )
    } else {
        finding
    }
}
