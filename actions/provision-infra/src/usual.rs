//! How long AWS usually takes to make things: for progress, and for who reads a plan.

use std::collections::BTreeMap;

use plan::{Change, Operation, Plan};

/// Minutes, as people see them for each type; all others are there within one.
const MINUTES: [(&str, u64); 7] = [
    ("AWS::EC2::NatGateway", 2),
    ("AWS::EC2::VPCEndpoint", 2),
    ("AWS::EKS::Addon", 2),
    ("AWS::EKS::Cluster", 10),
    ("AWS::EKS::Nodegroup", 4),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", 3),
    ("AWS::CertificateManager::Certificate", 3),
];

/// In how many parts the nodes of a group are replaced: the template has a third of them go at once.
const BATCHES: u64 = 3;

/// Gives the minutes that a resource of a type usually takes, when it is more than a moment.
#[must_use]
pub fn minutes(kind: &str) -> Option<u64> {
    let found = MINUTES.iter().find(|(known, _)| *known == kind);
    found.map(|(_, minutes)| *minutes)
}

/// Gives the minutes that a plan usually takes: stacks come one after the other, and in each the
/// slowest resource counts. Whatever is changed where it is, or deleted, is taken to be as slow as
/// if it were made.
#[must_use]
pub fn minutes_of(plan: &Plan) -> u64 {
    let mut stacks: BTreeMap<&str, u64> = BTreeMap::new();
    for change in &plan.changes {
        let one = minutes(&change.kind).unwrap_or(1);
        let times = match change.operation {
            // The new one is made before the old one goes.
            Operation::Replace => 2,
            Operation::Update if replaces_nodes(change) => BATCHES,
            _ => 1,
        };
        let slowest = stacks.entry(&change.part).or_default();
        *slowest = (one * times).max(*slowest);
    }
    stacks.into_values().sum()
}

/// Says whether nodes go and others come, a part of them at a time.
fn replaces_nodes(change: &Change) -> bool {
    let says = |property: &str| change.reason.contains(property);
    change.kind == "AWS::EKS::Nodegroup" && (says("Version") || says("LaunchTemplate"))
}

#[cfg(test)]
mod tests {
    use plan::Digest;

    use super::*;

    fn plan(changes: Vec<Change>) -> Plan {
        let observed = Digest::of("");
        Plan::new("provision-infra", "shop-test", observed, changes, "")
    }

    #[test]
    fn the_slowest_of_each_stack_counts() {
        assert_eq!(minutes_of(&plan(Vec::new())), 0);
        let change =
            |operation, kind: &str, part: &str| Change::new(operation, kind, kind).part(part);
        let changes = vec![
            change(Operation::Create, "AWS::EC2::VPC", "network"),
            change(Operation::Create, "AWS::EC2::NatGateway", "network"),
            change(Operation::Create, "AWS::EKS::Cluster", "cluster"),
            change(Operation::Replace, "AWS::EKS::Nodegroup", "nodes"),
        ];
        assert_eq!(minutes_of(&plan(changes)), 2 + 10 + 8);
    }

    #[test]
    fn nodes_of_another_version_come_a_third_at_a_time() {
        let change = |reason: &str| {
            let change = Change::new(Operation::Update, "AWS::EKS::Nodegroup", "Nodes");
            plan(vec![change.part("nodes").reason(reason)])
        };
        assert_eq!(minutes_of(&change("Version: 1.34 → 1.35")), 3 * 4);
        assert_eq!(minutes_of(&change("ScalingConfig")), 4);
    }
}
