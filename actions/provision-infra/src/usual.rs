//! How long AWS usually takes to make things: for progress, and for who reads a plan.

use std::collections::BTreeMap;

use plan::{Operation, Plan};

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
        // The new one is made before the old one goes.
        let times = if change.operation == Operation::Replace {
            2
        } else {
            1
        };
        let slowest = stacks.entry(&change.part).or_default();
        *slowest = (one * times).max(*slowest);
    }
    stacks.into_values().sum()
}

#[cfg(test)]
mod tests {
    use plan::{Change, Digest};

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
}
