//! Removing leftovers: each kind when the kinds before it are gone. What is gone already is fine.

use aws_account::ServiceError;

use super::find::{filter, is_gone};
use super::{Kind, Leftover, Outside};
use crate::cloudformation::failed;
use crate::error::InfraError;
use crate::watch::{Deadline, Pace};

impl Outside {
    /// Removes leftovers, given in the order in which they go, and waits for what still uses them.
    pub async fn remove(
        &self,
        leftovers: &[Leftover],
        deadline: &Deadline,
    ) -> Result<(), InfraError> {
        for same in leftovers.chunk_by(|a, b| a.kind == b.kind) {
            self.remove_together(same, deadline).await?;
        }
        Ok(())
    }

    async fn remove_together(
        &self,
        leftovers: &[Leftover],
        deadline: &Deadline,
    ) -> Result<(), InfraError> {
        let mut pace = Pace::default();
        let mut left: Vec<(&Leftover, String)> = leftovers
            .iter()
            .map(|leftover| (leftover, String::new()))
            .collect();
        loop {
            let mut held = Vec::new();
            for (leftover, before) in left {
                match self.delete(leftover).await? {
                    None => tracing::info!("{leftover}: deleted"),
                    Some(why) => {
                        if why != before {
                            tracing::info!("{leftover}: waiting: {why}");
                        }
                        held.push((leftover, why));
                    }
                }
            }
            let Some((leftover, why)) = held.first() else {
                return Ok(());
            };
            if let Some(seconds) = deadline.over() {
                return Err(InfraError::Held {
                    what: leftover.to_string(),
                    why: why.clone(),
                    seconds,
                });
            }
            left = held;
            pace.wait().await;
        }
    }

    /// Deletes something; says why it is still there when something else uses it yet.
    async fn delete(&self, leftover: &Leftover) -> Result<Option<String>, InfraError> {
        let (kind, id) = (leftover.kind, leftover.id.as_str());
        if kind == Kind::SecurityGroup {
            self.forget_other_groups(id).await?;
        }
        match self.ask_to_delete(kind, id).await {
            Err(error) if is_held(kind, &error) => Ok(Some(error.to_string())),
            Err(source) if !is_gone(&source) => Err(InfraError::Call {
                doing: format!("delete the {leftover}"),
                source,
            }),
            _ if kind == Kind::LoadBalancer => self.remains_of_balancer(id).await,
            _ => Ok(None),
        }
    }

    async fn ask_to_delete(&self, kind: Kind, id: &str) -> Result<(), ServiceError> {
        let (ec2, balancers) = (&self.ec2, &self.balancers);
        match kind {
            Kind::LoadBalancer => {
                let request = balancers.delete_load_balancer().load_balancer_arn(id);
                request.send().await.map(drop)?;
            }
            Kind::TargetGroup => {
                let request = balancers.delete_target_group().target_group_arn(id);
                request.send().await.map(drop)?;
            }
            Kind::Interface => {
                let request = ec2.delete_network_interface().network_interface_id(id);
                request.send().await.map(drop)?;
            }
            Kind::SecurityGroup => {
                let request = ec2.delete_security_group().group_id(id);
                request.send().await.map(drop)?;
            }
            Kind::Snapshot => {
                let request = ec2.delete_snapshot().snapshot_id(id);
                request.send().await.map(drop)?;
            }
            Kind::Volume => {
                let request = ec2.delete_volume().volume_id(id);
                request.send().await.map(drop)?;
            }
        }
        Ok(())
    }

    /// Takes the rules away by which a group lets members of others in: no group goes before what
    /// names it.
    async fn forget_other_groups(&self, id: &str) -> Result<(), InfraError> {
        let request = self.ec2.describe_security_group_rules();
        let request = request.filters(filter("group-id", [id.to_owned()]));
        let mut pages = request.into_paginator().items().send();
        let mut rules = Vec::new();
        while let Some(rule) = pages.next().await {
            let rule = rule.map_err(failed(format!("read the rules of the group `{id}`")))?;
            if rule.referenced_group_info().is_some() && !rule.is_egress().unwrap_or_default() {
                rules.extend(rule.security_group_rule_id().map(String::from));
            }
        }
        if rules.is_empty() {
            return Ok(());
        }
        let request = self.ec2.revoke_security_group_ingress().group_id(id);
        let request = request.set_security_group_rule_ids(Some(rules));
        match request.send().await.map_err(ServiceError::from) {
            Err(source) if !is_gone(&source) => Err(InfraError::Call {
                doing: format!("take rules of the security group `{id}` away"),
                source,
            }),
            _ => Ok(()),
        }
    }

    /// Says what is still there of a deleted load balancer: its interfaces go some minutes later.
    async fn remains_of_balancer(&self, arn: &str) -> Result<Option<String>, InfraError> {
        let Some((_, name)) = arn.split_once(":loadbalancer/") else {
            return Ok(None);
        };
        let request = self.ec2.describe_network_interfaces();
        let request = request.filters(filter("description", [format!("ELB {name}")]));
        let answer = request.send().await;
        let answer = answer.map_err(failed(format!("list the interfaces of `{name}`")))?;
        let ids: Vec<&str> = answer
            .network_interfaces()
            .iter()
            .filter_map(|interface| interface.network_interface_id())
            .collect();
        Ok((!ids.is_empty()).then(|| format!("it still has {}", ids.join(", "))))
    }
}

/// Says whether an answer means that something which is going uses the thing.
fn is_held(kind: Kind, error: &ServiceError) -> bool {
    match error.code.as_deref().unwrap_or_default() {
        "DependencyViolation" | "InvalidNetworkInterface.InUse" | "VolumeInUse" => true,
        // A load balancer that is in use is used by something that does not go by itself.
        "ResourceInUse" => kind == Kind::TargetGroup,
        "InvalidParameterValue" => {
            kind == Kind::Interface && error.message.contains("currently in use")
        }
        _ => false,
    }
}
