//! An account as it is: the questions to EC2 and Service Quotas, in and out of values.

use std::collections::{BTreeMap, BTreeSet};

use aws_account::SdkConfig;
use aws_sdk_ec2::types::{Filter, Instance as Ec2Instance, LocationType, Reservation};
use aws_sdk_servicequotas::types::ServiceQuota;
use futures::future::join_all;

use crate::answer::{Answer, Unknown};
use crate::stack::Values;

/// Clients of what an account is asked about.
#[derive(Clone, Debug)]
pub struct Account {
    ec2: aws_sdk_ec2::Client,
    quotas: aws_sdk_servicequotas::Client,
}

/// A zone of the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name in this account: `eu-west-1a`.
    pub name: String,
    /// Its identifier, the same in all accounts: `euw1-az1`.
    pub id: String,
    /// `availability-zone`, `local-zone` or `wavelength-zone`.
    pub kind: String,
    /// `available`, or why it is not.
    pub state: String,
    /// Whether the account has it.
    pub opted_in: bool,
}

/// What an instance type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// How many virtual processors.
    pub vcpus: u32,
    /// How many network interfaces at most.
    pub interfaces: u32,
    /// How many IPv4 addresses each of them at most.
    pub addresses: u32,
}

/// A machine that runs, paid on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its type.
    pub kind: String,
    /// The subnet that it is in.
    pub subnet: String,
    /// Whether it is the environment's.
    pub own: bool,
    /// How many addresses it has.
    pub addresses: u32,
}

/// A subnet that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The zone that it is in.
    pub zone: String,
    /// How many addresses nobody has.
    pub free: u32,
}

/// A limit that AWS sets an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The service's code.
    pub service: &'static str,
    /// Its own code.
    pub code: &'static str,
}

fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    let values = values.into_iter().map(Into::into).collect();
    let filter = Filter::builder().name(name).set_values(Some(values));
    filter.build()
}

fn number(value: Option<i32>) -> u32 {
    value.and_then(|value| value.try_into().ok()).unwrap_or(0)
}

impl Account {
    /// Makes the clients.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            ec2: aws_sdk_ec2::Client::new(config),
            quotas: aws_sdk_servicequotas::Client::new(config),
        }
    }

    /// Lists the region's zones, those that the account has not opted into among them.
    pub async fn zones(&self) -> Answer<Vec<Zone>> {
        let call = self.ec2.describe_availability_zones();
        let answer = call.all_availability_zones(true).send().await;
        let answer = answer.map_err(Unknown::of("ec2:DescribeAvailabilityZones"))?;
        let zones = answer.availability_zones().iter().map(|zone| Zone {
            name: zone.zone_name().unwrap_or_default().into(),
            id: zone.zone_id().unwrap_or_default().into(),
            kind: zone.zone_type().unwrap_or("availability-zone").into(),
            state: zone.state().map_or("", |state| state.as_str()).into(),
            opted_in: zone
                .opt_in_status()
                .is_none_or(|status| status.as_str() != "not-opted-in"),
        });
        let mut zones: Vec<Zone> = zones.collect();
        zones.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(zones)
    }

    /// Says which of these instance types are to be had in which zones.
    pub async fn offerings(&self, kinds: &BTreeSet<String>) -> Answer<BTreeSet<(String, String)>> {
        let call = self.ec2.describe_instance_type_offerings();
        let call = call.location_type(LocationType::AvailabilityZone);
        let pages = call
            .filters(filter("instance-type", kinds))
            .into_paginator();
        let found: Result<Vec<_>, _> = pages.items().send().collect().await;
        let found = found.map_err(Unknown::of("ec2:DescribeInstanceTypeOfferings"))?;
        let offered = found.iter().filter_map(|one| {
            let kind = one.instance_type()?.as_str().to_owned();
            Some((kind, one.location()?.to_owned()))
        });
        Ok(offered.collect())
    }

    /// Says what these instance types have; one that there is not is not among them.
    pub async fn machines(&self, kinds: &BTreeSet<String>) -> Answer<BTreeMap<String, Machine>> {
        let call = self.ec2.describe_instance_types();
        let pages = call
            .filters(filter("instance-type", kinds))
            .into_paginator();
        let found: Result<Vec<_>, _> = pages.items().send().collect().await;
        let found = found.map_err(Unknown::of("ec2:DescribeInstanceTypes"))?;
        let machines = found.iter().filter_map(|one| {
            let network = one.network_info()?;
            let machine = Machine {
                vcpus: number(one.v_cpu_info()?.default_v_cpus()),
                interfaces: number(network.maximum_network_interfaces()),
                addresses: number(network.ipv4_addresses_per_interface()),
            };
            Some((one.instance_type()?.as_str().to_owned(), machine))
        });
        Ok(machines.collect())
    }

    /// Lists the machines that run on demand; those with all of these tags are the environment's.
    pub async fn instances(&self, tags: &Values) -> Answer<Vec<Instance>> {
        let call = self.ec2.describe_instances();
        let running = filter("instance-state-name", ["pending", "running"]);
        let pages = call.filters(running).into_paginator();
        let found: Result<Vec<_>, _> = pages.items().send().collect().await;
        let found = found.map_err(Unknown::of("ec2:DescribeInstances"))?;
        let instances = found.iter().flat_map(Reservation::instances);
        let paid = instances.filter(|one| one.instance_lifecycle().is_none());
        Ok(paid.map(|one| instance(one, tags)).collect())
    }

    /// Counts the region's VPCs.
    pub async fn vpcs(&self) -> Answer<usize> {
        let pages = self.ec2.describe_vpcs().into_paginator().items().send();
        let found: Result<Vec<_>, _> = pages.collect().await;
        let found = found.map_err(Unknown::of("ec2:DescribeVpcs"))?;
        Ok(found.len())
    }

    /// Counts the region's Elastic IP addresses.
    pub async fn elastic_addresses(&self) -> Answer<usize> {
        let answer = self.ec2.describe_addresses().send().await;
        let answer = answer.map_err(Unknown::of("ec2:DescribeAddresses"))?;
        Ok(answer.addresses().len())
    }

    /// Gives the subnets of the region's NAT gateways, as far as these count.
    pub async fn nat_gateways(&self) -> Answer<Vec<String>> {
        let call = self.ec2.describe_nat_gateways();
        let counted = filter("state", ["pending", "available", "deleting"]);
        let pages = call.filter(counted).into_paginator();
        let found: Result<Vec<_>, _> = pages.items().send().collect().await;
        let found = found.map_err(Unknown::of("ec2:DescribeNatGateways"))?;
        let subnets = found.iter().filter_map(|gateway| gateway.subnet_id());
        Ok(subnets.map(String::from).collect())
    }

    /// Lists the region's subnets by identifier.
    pub async fn subnets(&self) -> Answer<BTreeMap<String, Subnet>> {
        let pages = self.ec2.describe_subnets().into_paginator().items().send();
        let found: Result<Vec<_>, _> = pages.collect().await;
        let found = found.map_err(Unknown::of("ec2:DescribeSubnets"))?;
        let subnets = found.iter().filter_map(|one| {
            let subnet = Subnet {
                zone: one.availability_zone()?.into(),
                free: number(one.available_ip_address_count()),
            };
            Some((one.subnet_id()?.to_owned(), subnet))
        });
        Ok(subnets.collect())
    }

    /// Gives limits by their codes.
    pub async fn quotas(&self, quotas: &[Quota]) -> BTreeMap<&'static str, Answer<f64>> {
        let asked = quotas.iter().map(|quota| async {
            let value = self.quota(*quota).await;
            (quota.code, value)
        });
        join_all(asked).await.into_iter().collect()
    }

    /// Gives a limit: the account's own, or the one of every account when it has none.
    async fn quota(&self, quota: Quota) -> Answer<f64> {
        let call = self.quotas.get_service_quota().service_code(quota.service);
        let answer = call.quota_code(quota.code).send().await;
        let unknown = match answer.map_err(Unknown::of("servicequotas:GetServiceQuota")) {
            Ok(answer) => {
                let value = answer.quota().and_then(ServiceQuota::value);
                return Ok(value.unwrap_or_default());
            }
            Err(unknown) => unknown,
        };
        if !unknown.source.is("NoSuchResourceException") {
            return Err(unknown);
        }
        let call = self.quotas.get_aws_default_service_quota();
        let call = call.service_code(quota.service).quota_code(quota.code);
        let answer = call.send().await;
        let answer = answer.map_err(Unknown::of("servicequotas:GetAWSDefaultServiceQuota"))?;
        let value = answer.quota().and_then(ServiceQuota::value);
        Ok(value.unwrap_or_default())
    }
}

fn instance(one: &Ec2Instance, tags: &Values) -> Instance {
    let has = |(name, value): (&String, &String)| {
        let mut found = one.tags().iter();
        found.any(|tag| tag.key() == Some(name) && tag.value() == Some(value))
    };
    let interfaces = one.network_interfaces().iter();
    let addresses: usize = interfaces
        .map(|interface| interface.private_ip_addresses().len())
        .sum();
    Instance {
        kind: one.instance_type().map_or("", |kind| kind.as_str()).into(),
        subnet: one.subnet_id().unwrap_or_default().into(),
        own: tags.iter().all(has),
        addresses: addresses.try_into().unwrap_or(u32::MAX),
    }
}
