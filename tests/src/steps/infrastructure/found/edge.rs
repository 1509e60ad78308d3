//! The load balancer that the infrastructure step reads back.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::ZONES;

/// What stands before the cluster.
#[derive(Debug, Deserialize)]
pub(super) struct Edge {
    pub(super) dns_name: String,
    scheme: String,
    zones: Vec<String>,
    /// The policy of TLS by port; none where a request is redirected.
    listeners: BTreeMap<String, Option<String>>,
    logs: bool,
    /// What the firewall has rules for.
    firewall: Vec<String>,
    target_type: String,
    health: String,
}

impl Edge {
    /// Compares the load balancer with the architecture.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.scheme == "internet-facing" && self.zones.len() == ZONES && self.logs,
            "the load balancer is not what the template says: {self:?}"
        );
        let policy = |port| self.listeners.get(port).cloned().flatten();
        ensure!(
            self.listeners.len() == 2
                && self.listeners.get("80") == Some(&None)
                && policy("443").is_some_and(|policy| policy.contains("TLS13")),
            "clients get something else than TLS: {:?}",
            self.listeners
        );
        ensure!(
            self.firewall == ["rate", "reputation", "common", "known-bad-inputs"],
            "the firewall is not what the template says: {:?}",
            self.firewall
        );
        ensure!(
            self.target_type == "ip" && self.health == "/ping",
            "requests do not go to the router's pods: {self:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_ends_tls_in_three_zones() {
        let edge = || Edge {
            dns_name: "orders.elb.amazonaws.com".into(),
            scheme: "internet-facing".into(),
            zones: ["a", "b", "c"].map(String::from).into(),
            listeners: BTreeMap::from([
                ("80".into(), None),
                (
                    "443".into(),
                    Some("ELBSecurityPolicy-TLS13-1-2-2021-06".into()),
                ),
            ]),
            logs: true,
            firewall: ["rate", "reputation", "common", "known-bad-inputs"]
                .map(String::from)
                .into(),
            target_type: "ip".into(),
            health: "/ping".into(),
        };
        edge().check().unwrap();
        let complaint = |change: fn(&mut Edge)| {
            let mut edge = edge();
            change(&mut edge);
            edge.check().unwrap_err().to_string()
        };
        assert!(complaint(|edge| edge.logs = false).contains("load balancer"));
        let old = complaint(|edge| {
            edge.listeners.insert("443".into(), Some("2016-08".into()));
        });
        assert!(old.contains("than TLS"), "{old}");
        let plain = complaint(|edge| {
            edge.listeners.insert("8080".into(), None);
        });
        assert!(plain.contains("than TLS"), "{plain}");
        let open = complaint(|edge| edge.firewall.clear());
        assert!(open.contains("firewall"), "{open}");
        let nodes = complaint(|edge| edge.target_type = "instance".into());
        assert!(nodes.contains("router's pods"), "{nodes}");
    }
}
