//! Finding what may be a leftover: by the tags that controllers use, whatever cluster's.

use std::collections::BTreeMap;

use aws_account::{SdkConfig, ServiceError};
use aws_sdk_ec2::types::{Filter, Tag};
use aws_sdk_elasticloadbalancingv2::types::TagDescription;

use super::{Found, Kind, Leftover, Owner};
use crate::cloudformation::failed;
use crate::error::InfraError;
use crate::stack::Values;

/// So many load balancers or target groups can be asked for their tags at once.
const TAGS_AT_ONCE: usize = 20;

/// The services that hold what is outside of the stacks, in one account and region.
#[derive(Clone, Debug)]
pub struct Outside {
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) balancers: aws_sdk_elasticloadbalancingv2::Client,
    buckets: aws_sdk_s3::Client,
    owner: Owner,
}

impl Outside {
    /// Opens the clients.
    #[must_use]
    pub fn new(config: &SdkConfig, owner: Owner) -> Self {
        // A bucket is no part of the host's name: an endpoint other than AWS has one name only.
        let buckets = aws_sdk_s3::config::Builder::from(config).force_path_style(true);
        Self {
            ec2: aws_sdk_ec2::Client::new(config),
            balancers: aws_sdk_elasticloadbalancingv2::Client::new(config),
            buckets: aws_sdk_s3::Client::from_conf(buckets.build()),
            owner,
        }
    }

    /// Finds what the cluster leaves behind, in the order in which it goes.
    pub async fn leftovers(&self, cluster_lives: bool) -> Result<Vec<Leftover>, InfraError> {
        let mut found = self.load_balancers().await?;
        found.extend(self.target_groups().await?);
        found.extend(self.interfaces().await?);
        found.extend(self.security_groups().await?);
        found.extend(self.snapshots().await?);
        found.extend(self.volumes().await?);
        Ok(self.owner.leftovers(found, cluster_lives))
    }

    /// Says whether a bucket holds nothing, not even what was deleted; one that is not there holds
    /// nothing either.
    pub async fn is_empty(&self, bucket: &str) -> Result<bool, InfraError> {
        let request = self.buckets.list_object_versions().bucket(bucket);
        match request.max_keys(1).send().await.map_err(ServiceError::from) {
            Ok(answer) => Ok(answer.versions().is_empty() && answer.delete_markers().is_empty()),
            Err(error) if error.is("NoSuchBucket") => Ok(true),
            Err(source) => Err(InfraError::Call {
                doing: format!("look into the bucket `{bucket}`"),
                source,
            }),
        }
    }

    async fn load_balancers(&self) -> Result<Vec<Found>, InfraError> {
        let pages = self.balancers.describe_load_balancers().into_paginator();
        let mut pages = pages.items().send();
        let mut found = Vec::new();
        while let Some(one) = pages.next().await {
            let one = one.map_err(failed("list the load balancers"))?;
            let name = (one.load_balancer_arn(), one.load_balancer_name());
            found.push(named(Kind::LoadBalancer, name));
        }
        self.with_tags(found).await
    }

    async fn target_groups(&self) -> Result<Vec<Found>, InfraError> {
        let pages = self.balancers.describe_target_groups().into_paginator();
        let mut pages = pages.items().send();
        let mut found = Vec::new();
        while let Some(one) = pages.next().await {
            let one = one.map_err(failed("list the target groups"))?;
            let name = (one.target_group_arn(), one.target_group_name());
            found.push(named(Kind::TargetGroup, name));
        }
        self.with_tags(found).await
    }

    /// Adds the tags; what goes in the meantime has none.
    async fn with_tags(&self, mut found: Vec<Found>) -> Result<Vec<Found>, InfraError> {
        let ids: Vec<String> = found.iter().map(|one| one.id.clone()).collect();
        let mut to_ask: Vec<Vec<String>> = ids.chunks(TAGS_AT_ONCE).map(<[_]>::to_vec).collect();
        let mut tags = BTreeMap::new();
        while let Some(ids) = to_ask.pop() {
            let request = self.balancers.describe_tags();
            let request = request.set_resource_arns(Some(ids.clone()));
            match request.send().await.map_err(ServiceError::from) {
                Ok(answer) => tags.extend(answer.tag_descriptions().iter().filter_map(told)),
                Err(error) if is_gone(&error) && ids.len() == 1 => {}
                Err(error) if is_gone(&error) => to_ask.extend(ids.into_iter().map(|id| vec![id])),
                Err(source) => {
                    return Err(InfraError::Call {
                        doing: "read the tags of the load balancers".into(),
                        source,
                    });
                }
            }
        }
        for one in &mut found {
            one.tags = tags.remove(&one.id).unwrap_or_default();
        }
        Ok(found)
    }

    async fn interfaces(&self) -> Result<Vec<Found>, InfraError> {
        let request = self.ec2.describe_network_interfaces();
        let free = filter("status", ["available".to_owned()]);
        let pages = request.filters(free).into_paginator();
        let mut pages = pages.items().send();
        let mut found = Vec::new();
        while let Some(one) = pages.next().await {
            let one = one.map_err(failed("list the network interfaces"))?;
            let id = one.network_interface_id();
            found.push(tagged(Kind::Interface, id, one.tag_set(), None));
        }
        Ok(found)
    }

    async fn security_groups(&self) -> Result<Vec<Found>, InfraError> {
        let owned = format!("kubernetes.io/cluster/{}", self.owner.cluster);
        let tags = ["elbv2.k8s.aws/cluster".to_owned(), owned];
        let request = self.ec2.describe_security_groups();
        let pages = request.filters(filter("tag-key", tags)).into_paginator();
        let mut pages = pages.items().send();
        let mut found = Vec::new();
        while let Some(one) = pages.next().await {
            let one = one.map_err(failed("list the security groups"))?;
            found.push(tagged(
                Kind::SecurityGroup,
                one.group_id(),
                one.tags(),
                None,
            ));
        }
        Ok(found)
    }

    /// Lists the snapshots that the driver of volumes made: those that have its name for one.
    async fn snapshots(&self) -> Result<Vec<Found>, InfraError> {
        let request = self.ec2.describe_snapshots().owner_ids("self");
        let tags = ["CSIVolumeSnapshotName".to_owned()];
        let pages = request.filters(filter("tag-key", tags)).into_paginator();
        let mut pages = pages.items().send();
        let mut found = Vec::new();
        while let Some(one) = pages.next().await {
            let one = one.map_err(failed("list the snapshots"))?;
            let (id, size) = (one.snapshot_id(), one.volume_size());
            found.push(tagged(Kind::Snapshot, id, one.tags(), size));
        }
        Ok(found)
    }

    /// Lists the volumes that were made for claims; a machine's own disk goes with it.
    async fn volumes(&self) -> Result<Vec<Found>, InfraError> {
        let tags = ["CSIVolumeName", "kubernetes.io/created-for/pvc/name"].map(String::from);
        let request = self.ec2.describe_volumes();
        let pages = request.filters(filter("tag-key", tags)).into_paginator();
        let mut pages = pages.items().send();
        let mut found = Vec::new();
        while let Some(one) = pages.next().await {
            let one = one.map_err(failed("list the volumes"))?;
            found.push(tagged(
                Kind::Volume,
                one.volume_id(),
                one.tags(),
                one.size(),
            ));
        }
        Ok(found)
    }
}

pub(super) fn filter<const N: usize>(name: &str, values: [String; N]) -> Filter {
    let filter = Filter::builder().name(name);
    filter.set_values(Some(values.into())).build()
}

fn named(kind: Kind, (id, name): (Option<&str>, Option<&str>)) -> Found {
    Found {
        kind,
        id: id.unwrap_or_default().into(),
        name: name.unwrap_or_default().into(),
        tags: Values::new(),
        size: 0,
    }
}

fn tagged(kind: Kind, id: Option<&str>, tags: &[Tag], size: Option<i32>) -> Found {
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()));
    Found {
        kind,
        id: id.unwrap_or_default().into(),
        name: id.unwrap_or_default().into(),
        tags: tags.iter().filter_map(pair).collect(),
        size: size.unwrap_or_default(),
    }
}

fn told(about: &TagDescription) -> Option<(String, Values)> {
    let tags = about.tags().iter();
    let tags = tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
    Some((about.resource_arn()?.to_owned(), tags.collect()))
}

/// Says whether an answer means that there is no such thing.
pub(super) fn is_gone(error: &ServiceError) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    code.ends_with("NotFound")
}
