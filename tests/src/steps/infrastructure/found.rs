//! What the infrastructure step reads back, and what it must be.

mod edge;
mod names;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use self::edge::Edge;
use self::names::Names;
use self::nodes::Nodes;
use super::NAME;
use crate::steps::localstack;

/// The layers, by name.
pub(super) const LAYERS: [&str; 9] = [
    "add-ons",
    "bootstrap",
    "cluster",
    "data",
    "edge",
    "network",
    "nodes",
    "observability",
    "zone",
];
/// What each zone has a subnet of.
pub(super) const TIERS: [&str; 4] = ["admin", "application", "database", "public"];
/// How many zones there are, and NAT gateways in them.
pub(super) const ZONES: usize = 3;

/// What was read back.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    stacks: BTreeMap<String, Stack>,
    pub(super) network: Network,
    pub(super) cluster: Option<Cluster>,
    unbounded_roles: Vec<String>,
    data: Option<Data>,
    edge: Option<Edge>,
    names: Option<Names>,
    nodes: Option<Nodes>,
    watching: Option<Watching>,
}

/// What watches.
#[derive(Debug, Deserialize)]
struct Watching {
    /// Whom each alarm tells: the topics by their kind.
    alarms: BTreeMap<String, Vec<String>>,
    /// Who is told, by the kind of the topic.
    told: BTreeMap<String, Vec<String>>,
    /// How many characters the dashboard has.
    dashboard: usize,
    rules: usize,
    /// The service accounts whose pods have a role.
    identities: Vec<String>,
}

/// What holds data.
#[derive(Debug, Deserialize)]
struct Data {
    versioning: String,
    locked_days: u32,
    encryption: String,
    tags: String,
    scan: bool,
    backup_vaults: Vec<String>,
    backup_selections: usize,
}

#[derive(Debug, Deserialize)]
struct Stack {
    status: String,
    role: Option<String>,
    types: BTreeMap<String, usize>,
    incomplete: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Network {
    vpcs: Vec<String>,
    subnets: Vec<Subnet>,
    pub(super) nat_gateways: Vec<String>,
    endpoints: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Subnet {
    zone: String,
    tier: String,
    cidr: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cluster {
    status: String,
    pub(super) version: String,
    pub(super) endpoint: String,
    pub(super) certificate_authority: String,
    encrypted: Vec<Vec<String>>,
    access_entries: usize,
}

impl Found {
    /// Counts the resources of all stacks by type.
    pub(super) fn types(&self) -> BTreeMap<&str, usize> {
        let mut types = BTreeMap::new();
        for (name, count) in self.stacks.values().flat_map(|stack| &stack.types) {
            *types.entry(name.as_str()).or_default() += count;
        }
        types
    }

    /// Compares what is there with the architecture.
    pub(super) fn check(&self, service_role: &str) -> Result<()> {
        let names: Vec<&str> = self.stacks.keys().map(String::as_str).collect();
        ensure!(
            names == LAYERS.map(|layer| format!("{NAME}-{layer}")),
            "the stacks are {names:?}"
        );
        for (name, stack) in &self.stacks {
            if !matches!(stack.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE")
                || !stack.incomplete.is_empty()
            {
                bail!(
                    "the stack `{name}` is {}, without {:?}",
                    stack.status,
                    stack.incomplete
                );
            }
        }
        self.check_roles(service_role)?;
        self.network.check()?;
        let cluster = self.cluster.as_ref().context("EKS has no cluster")?;
        ensure!(
            cluster.status == "ACTIVE"
                && cluster.encrypted == [["secrets"]]
                && cluster.access_entries == 4,
            "the cluster is not what the template says: {cluster:?}"
        );
        self.data.as_ref().context("there is no data")?.check()?;
        let nodes = self.nodes.as_ref().context("there are no nodes")?;
        nodes.check(&cluster.version)?;
        let edge = self.edge.as_ref().context("nothing stands before it")?;
        edge.check()?;
        let names = self.names.as_ref().context("it has no names")?;
        names.check(&edge.dns_name)?;
        let watching = self.watching.as_ref();
        watching.context("nothing watches")?.check()
    }

    /// Makes sure that all but the first stack are made as its role, with roles in its boundary.
    fn check_roles(&self, service_role: &str) -> Result<()> {
        for (name, stack) in &self.stacks {
            let wanted = (!name.ends_with("-bootstrap")).then_some(service_role);
            ensure!(
                stack.role.as_deref() == wanted,
                "the stack `{name}` is changed as {:?}",
                stack.role
            );
        }
        ensure!(
            self.unbounded_roles.is_empty(),
            "these roles have no boundary: {:?}",
            self.unbounded_roles
        );
        Ok(())
    }
}

impl Watching {
    fn check(&self) -> Result<()> {
        let heard = |topics: &Vec<String>| {
            let known = |topic: &String| self.told.get(topic).is_some_and(|told| !told.is_empty());
            !topics.is_empty() && topics.iter().all(known)
        };
        let unheard = self.alarms.iter().filter(|(_, topics)| !heard(topics));
        let unheard: Vec<&String> = unheard.map(|(name, _)| name).collect();
        let gateways = self.alarms.keys().filter(|name| name.starts_with("Nat"));
        ensure!(
            gateways.count() == ZONES && self.alarms.contains_key("WalMissing"),
            "there is no alarm for each of what must be watched: {self:?}"
        );
        ensure!(unheard.is_empty(), "nobody hears of {unheard:?}: {self:?}");
        let publishes = self
            .identities
            .iter()
            .any(|one| one.contains("alertmanager"));
        ensure!(
            self.dashboard > 0 && self.rules == 2 && publishes,
            "what watches is not what the template says: {self:?}"
        );
        Ok(())
    }
}

impl Data {
    fn check(&self) -> Result<()> {
        ensure!(
            self.versioning == "Enabled" && self.locked_days > 0 && self.encryption == "aws:kms",
            "the bucket of backups is not what the template says: {self:?}"
        );
        ensure!(
            self.tags.starts_with("IMMUTABLE") && self.scan,
            "the image repository is not what the template says: {self:?}"
        );
        ensure!(
            self.backup_vaults.len() == 1
                && self.backup_vaults[0].starts_with(NAME)
                && self.backup_selections == 1,
            "volumes are not backed up as the template says: {self:?}"
        );
        Ok(())
    }
}

impl Network {
    /// Gives the networks of the subnets by zone and tier.
    pub(super) fn places(&self) -> BTreeMap<&str, BTreeMap<&str, &str>> {
        let mut places: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for subnet in &self.subnets {
            places
                .entry(&subnet.zone)
                .or_default()
                .insert(&subnet.tier, &subnet.cidr);
        }
        places
    }

    fn check(&self) -> Result<()> {
        ensure!(self.vpcs.len() == 1, "there are {} VPCs", self.vpcs.len());
        let places = self.places();
        let whole = places.values().all(|tiers| tiers.keys().eq(TIERS.iter()));
        ensure!(
            places.len() == ZONES && whole && self.subnets.len() == ZONES * TIERS.len(),
            "the subnets are {places:?}"
        );
        let zones: BTreeSet<&str> = self.nat_gateways.iter().map(String::as_str).collect();
        ensure!(
            self.nat_gateways.len() == ZONES && zones.iter().eq(places.keys()),
            "the NAT gateways that are available are in {:?}",
            self.nat_gateways
        );
        let s3 = format!("com.amazonaws.{}.s3", localstack::REGION);
        ensure!(
            self.endpoints.contains(&s3),
            "S3 has no endpoint: {:?}",
            self.endpoints
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let zones = ["a", "b", "c"];
        let subnets = zones.iter().flat_map(|zone| {
            TIERS.map(|tier| Subnet {
                zone: (*zone).into(),
                tier: tier.into(),
                cidr: "10.0.0.0/20".into(),
            })
        });
        Network {
            vpcs: vec!["10.0.0.0/16".into()],
            subnets: subnets.collect(),
            nat_gateways: zones.map(String::from).into(),
            endpoints: vec!["com.amazonaws.eu-west-1.s3".into()],
        }
    }

    #[test]
    fn a_network_is_three_zones_of_four_subnets_with_a_gateway_each() {
        network().check().unwrap();
        let mut lacking = network();
        lacking.subnets.remove(5);
        assert!(lacking.check().unwrap_err().to_string().contains("subnets"));
        let mut twice = network();
        twice.nat_gateways[2] = "a".into();
        assert!(twice.check().unwrap_err().to_string().contains("NAT"));
        let mut wrong = network();
        wrong.subnets[0].tier = "public".into();
        assert!(wrong.check().is_err());
    }

    #[test]
    fn backups_are_versioned_and_images_keep_their_tags() {
        let data = || Data {
            versioning: "Enabled".into(),
            locked_days: 7,
            encryption: "aws:kms".into(),
            tags: "IMMUTABLE_WITH_EXCLUSION".into(),
            scan: true,
            backup_vaults: vec!["orders-e2e-1".into()],
            backup_selections: 1,
        };
        data().check().unwrap();
        let complaint = |data: Data| data.check().unwrap_err().to_string();
        let open = Data {
            locked_days: 0,
            ..data()
        };
        assert!(complaint(open).contains("bucket"));
        let moving = Data {
            tags: "MUTABLE".into(),
            ..data()
        };
        assert!(complaint(moving).contains("repository"));
        let nothing = Data {
            backup_selections: 0,
            ..data()
        };
        assert!(complaint(nothing).contains("volumes"));
    }

    #[test]
    fn alarms_are_for_every_gateway_and_somebody_hears_them() {
        let watching = |told: &[&str]| Watching {
            alarms: ["NatA", "NatB", "NatC", "WalMissing"]
                .map(|name| (name.into(), vec!["critical".into()]))
                .into(),
            told: BTreeMap::from([(
                "critical".into(),
                told.iter().map(ToString::to_string).collect(),
            )]),
            dashboard: 100,
            rules: 2,
            identities: vec!["kube-prometheus-stack-alertmanager".into()],
        };
        watching(&["oncall@example.com"]).check().unwrap();
        let complaint = |watching: Watching| watching.check().unwrap_err().to_string();
        assert!(complaint(watching(&[])).contains("nobody hears"));
        let mut fewer = watching(&["oncall@example.com"]);
        fewer.alarms.remove("NatB");
        assert!(complaint(fewer).contains("no alarm"));
        let dark = Watching {
            dashboard: 0,
            ..watching(&["oncall@example.com"])
        };
        assert!(complaint(dark).contains("not what the template says"));
    }

    #[test]
    fn a_resource_that_is_not_complete_is_told() {
        let stack = |incomplete: &[&str]| Stack {
            status: "CREATE_COMPLETE".into(),
            role: None,
            types: BTreeMap::from([("AWS::EC2::VPC".into(), 1)]),
            incomplete: incomplete.iter().map(ToString::to_string).collect(),
        };
        let mut stacks: BTreeMap<String, Stack> = LAYERS
            .map(|layer| (format!("{NAME}-{layer}"), stack(&[])))
            .into();
        stacks.insert("orders-e2e-cluster".into(), stack(&["Cluster"]));
        let mut found = Found {
            stacks,
            network: network(),
            cluster: None,
            unbounded_roles: Vec::new(),
            data: None,
            edge: None,
            names: None,
            nodes: None,
            watching: None,
        };
        assert_eq!(
            found.types(),
            BTreeMap::from([("AWS::EC2::VPC", LAYERS.len())])
        );
        let complaint = |found: &Found| found.check("role").unwrap_err().to_string();
        assert!(complaint(&found).contains("Cluster"));
        found.stacks.insert("orders-e2e-cluster".into(), stack(&[]));
        assert!(complaint(&found).contains("is changed as None"));
        for (name, stack) in &mut found.stacks {
            stack.role = (!name.ends_with("-bootstrap")).then(|| "role".into());
        }
        found.unbounded_roles.push("free".into());
        assert!(complaint(&found).contains("free"));
        found.unbounded_roles.clear();
        assert!(complaint(&found).contains("EKS has no cluster"));
        found.stacks.remove("orders-e2e-cluster");
        assert!(complaint(&found).contains("the stacks are"));
    }
}
