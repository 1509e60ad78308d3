//! What is looked at, all at once.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::account::{Account, Instance, Machine, Subnet, Zone};
use super::quotas::ALL;
use super::wanted::Wanted;
use crate::answer::Answer;
use crate::cloudformation::CloudFormation;
use crate::eks::{Eks, Insight, Offered, Support};
use crate::error::InfraError;
use crate::stack::{Stack, Values};

/// The account and the environment as they are.
#[derive(Debug)]
pub struct Facts {
    /// The region's zones.
    pub zones: Answer<Vec<Zone>>,
    /// Which of the wanted instance types are to be had in which zones.
    pub offerings: Answer<BTreeSet<(String, String)>>,
    /// What instance types have: the wanted ones, and those that run.
    pub machines: Answer<BTreeMap<String, Machine>>,
    /// The machines that run.
    pub instances: Answer<Vec<Instance>>,
    /// How many VPCs there are.
    pub vpcs: Answer<usize>,
    /// How many Elastic IP addresses there are.
    pub elastic_addresses: Answer<usize>,
    /// The subnets of NAT gateways.
    pub nat_gateways: Answer<Vec<String>>,
    /// The region's subnets.
    pub subnets: Answer<BTreeMap<String, Subnet>>,
    /// The region's clusters.
    pub clusters: Answer<Vec<String>>,
    /// Limits by their codes.
    pub quotas: BTreeMap<&'static str, Answer<f64>>,
    /// How many resources of a type the environment has already.
    pub made: BTreeMap<String, usize>,
    /// The versions of add-ons that fit.
    pub offered: BTreeMap<&'static str, Answer<Vec<Offered>>>,
    /// The Kubernetes minors that there are.
    pub support: Answer<Vec<Support>>,
    /// The environment's cluster, when it has one.
    pub cluster: Option<ClusterFacts>,
}

/// A cluster as it is.
#[derive(Debug)]
pub struct ClusterFacts {
    /// Its name.
    pub name: String,
    /// The minor of the control plane; nothing when the cluster is gone.
    pub version: Answer<Option<String>>,
    /// The minors of the node groups.
    pub groups: Answer<BTreeMap<String, String>>,
    /// The versions of the add-ons.
    pub installed: Answer<BTreeMap<String, String>>,
    /// What EKS found out before the next upgrade, as far as it does not pass.
    pub insights: Answer<Vec<Insight>>,
}

impl Facts {
    /// Looks; nothing but a stack that cannot be read is an error.
    pub async fn gather(
        account: &Account,
        eks: &Eks,
        cloudformation: &CloudFormation,
        stacks: &[Stack],
        cluster: Option<&str>,
        wanted: &Wanted,
        tags: &Values,
    ) -> Result<Self, InfraError> {
        let kinds = wanted.kinds();
        let (zones, offerings, machines, counts, eks_facts, made) = tokio::join!(
            account.zones(),
            account.offerings(&kinds),
            machines(account, &kinds, tags),
            async {
                tokio::join!(
                    account.vpcs(),
                    account.elastic_addresses(),
                    account.nat_gateways(),
                    account.subnets(),
                    account.quotas(&ALL),
                )
            },
            async {
                tokio::join!(
                    eks.clusters(),
                    offered(eks, wanted),
                    eks.support(),
                    cluster_facts(eks, cluster),
                )
            },
            made(cloudformation, stacks),
        );
        let (instances, machines) = machines;
        let (vpcs, elastic_addresses, nat_gateways, subnets, quotas) = counts;
        let (clusters, offered, support, cluster) = eks_facts;
        Ok(Self {
            zones,
            offerings,
            machines,
            instances,
            vpcs,
            elastic_addresses,
            nat_gateways,
            subnets,
            clusters,
            quotas,
            made: made?,
            offered,
            support,
            cluster,
        })
    }
}

/// Lists the machines that run, and says what their types and the wanted ones have.
async fn machines(
    account: &Account,
    wanted: &BTreeSet<String>,
    tags: &Values,
) -> (Answer<Vec<Instance>>, Answer<BTreeMap<String, Machine>>) {
    let instances = account.instances(tags).await;
    let running = instances.iter().flatten().map(|one| one.kind.clone());
    let kinds = wanted.iter().cloned().chain(running).collect();
    let machines = account.machines(&kinds).await;
    (instances, machines)
}

async fn offered(eks: &Eks, wanted: &Wanted) -> BTreeMap<&'static str, Answer<Vec<Offered>>> {
    let asked = wanted.add_ons.iter().map(|(name, _)| async {
        let offered = eks.offered(name, &wanted.kubernetes).await;
        (*name, offered)
    });
    let found = futures::future::join_all(asked).await;
    found.into_iter().collect()
}

async fn cluster_facts(eks: &Eks, cluster: Option<&str>) -> Option<ClusterFacts> {
    let name = cluster?;
    let (version, groups, installed, insights) = tokio::join!(
        eks.version(name),
        eks.node_groups(name),
        eks.installed(name),
        eks.insights(name),
    );
    Some(ClusterFacts {
        name: name.into(),
        version,
        groups,
        installed,
        insights,
    })
}

async fn made(
    cloudformation: &CloudFormation,
    stacks: &[Stack],
) -> Result<BTreeMap<String, usize>, InfraError> {
    let asked = stacks
        .iter()
        .map(|stack| cloudformation.resources(&stack.name));
    let mut counts = BTreeMap::new();
    for resource in try_join_all(asked).await?.into_iter().flatten() {
        *counts.entry(resource.kind).or_default() += 1;
    }
    Ok(counts)
}
