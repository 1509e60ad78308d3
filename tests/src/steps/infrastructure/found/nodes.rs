//! The machines that the infrastructure step reads back.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::ZONES;

/// What EKS installs in the cluster.
const ADD_ONS: [&str; 5] = [
    "aws-ebs-csi-driver",
    "coredns",
    "eks-pod-identity-agent",
    "kube-proxy",
    "vpc-cni",
];

/// The network that `deploy/infrastructure.yaml` lets people enter from.
const ALLOWED: &str = "203.0.113.0/24";

/// The node groups, and what EKS installs in the cluster.
#[derive(Debug, Deserialize)]
pub(super) struct Nodes {
    groups: Vec<Group>,
    /// Which networks reach the bastion from outside, by port.
    entry: BTreeMap<String, Vec<String>>,
    add_ons: BTreeMap<String, String>,
}

/// A node group.
#[derive(Clone, Debug, Deserialize)]
struct Group {
    workload: String,
    status: String,
    version: String,
    tainted: bool,
    /// The kinds of subnets that its nodes are in.
    tiers: Vec<String>,
    zones: Vec<String>,
    /// Whether the machines' metadata demands session tokens.
    tokens: String,
    hops: u32,
    encrypted: bool,
}

impl Nodes {
    /// Compares the groups with the architecture.
    pub(super) fn check(&self, version: &str) -> Result<()> {
        let of = |workload: &str| -> Vec<&Group> {
            let groups = self.groups.iter();
            groups.filter(|one| one.workload == workload).collect()
        };
        let [application, database, bastion] = ["application", "database", "bastion"].map(of);
        ensure!(
            application.len() == 1 && database.len() == ZONES && bastion.len() == 1,
            "there are not the three kinds of nodes: {self:?}"
        );
        let mut zones: Vec<&String> = database.iter().flat_map(|one| &one.zones).collect();
        zones.sort();
        ensure!(
            zones.iter().copied().eq(&application[0].zones) && zones.len() == ZONES,
            "the databases' nodes are in {zones:?}"
        );
        for group in &self.groups {
            let tier = match group.workload.as_str() {
                "bastion" => "admin",
                other => other,
            };
            ensure!(
                group.tiers == [tier] && group.tainted == (tier != "application"),
                "nodes are where they do not belong: {group:?}"
            );
            ensure!(
                group.status == "ACTIVE"
                    && group.version == version
                    && group.tokens == "required"
                    && group.hops == 1
                    && group.encrypted,
                "a node group is not what the template says: {group:?}"
            );
        }
        ensure!(
            self.entry == BTreeMap::from([("22".into(), vec![ALLOWED.into()])]),
            "people enter from elsewhere than the file says: {:?}",
            self.entry
        );
        for name in ADD_ONS {
            let status = self.add_ons.get(name).map(String::as_str);
            ensure!(status == Some("ACTIVE"), "the add-on {name} is {status:?}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Nodes {
        let group = |workload: &str, tier: &str, zones: &[&str]| Group {
            workload: workload.into(),
            status: "ACTIVE".into(),
            version: "1.35".into(),
            tainted: workload != "application",
            tiers: vec![tier.into()],
            zones: zones.iter().map(ToString::to_string).collect(),
            tokens: "required".into(),
            hops: 1,
            encrypted: true,
        };
        let all = ["a", "b", "c"];
        let databases = all.map(|zone| group("database", "database", &[zone]));
        let mut groups = vec![
            group("application", "application", &all),
            group("bastion", "admin", &all),
        ];
        groups.extend(databases);
        Nodes {
            groups,
            entry: BTreeMap::from([("22".into(), vec![ALLOWED.into()])]),
            add_ons: ADD_ONS.map(|name| (name.into(), "ACTIVE".into())).into(),
        }
    }

    #[test]
    fn there_are_three_kinds_of_nodes_and_each_zone_has_one_for_databases() {
        nodes().check("1.35").unwrap();
        let complaint = |change: fn(&mut Nodes)| {
            let mut nodes = nodes();
            change(&mut nodes);
            nodes.check("1.35").unwrap_err().to_string()
        };
        let fewer = complaint(|nodes| {
            nodes.groups.pop();
        });
        assert!(fewer.contains("three kinds"), "{fewer}");
        let twice = complaint(|nodes| nodes.groups[4].zones = vec!["a".into()]);
        assert!(twice.contains("the databases' nodes are in"), "{twice}");
        let open = complaint(|nodes| nodes.groups[1].tainted = false);
        assert!(open.contains("do not belong"), "{open}");
        let far = complaint(|nodes| nodes.groups[0].hops = 2);
        assert!(far.contains("not what the template says"), "{far}");
        let lacking = complaint(|nodes| {
            nodes.add_ons.remove("vpc-cni");
        });
        assert!(lacking.contains("vpc-cni is None"), "{lacking}");
        let wide = complaint(|nodes| {
            nodes.entry.insert("22".into(), vec!["0.0.0.0/0".into()]);
        });
        assert!(wide.contains("from elsewhere"), "{wide}");
        assert!(nodes().check("1.36").is_err());
    }
}
