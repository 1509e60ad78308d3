//! EKS: the questions that CloudFormation does not answer, in and out of this action's values.

use std::collections::BTreeMap;
use std::fmt;

use aws_account::SdkConfig;
use aws_sdk_eks::Client;
use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types::{AddonInfo, Category, InsightsFilter};
use futures::future::try_join_all;
use jiff::civil::Date;

use crate::answer::{Answer, Unknown};
use crate::config::KubernetesVersion;

/// A client of EKS.
#[derive(Clone, Debug)]
pub struct Eks(Client);

/// What EKS found out about a cluster before its next upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insight {
    /// What was looked at.
    pub name: String,
    /// The Kubernetes minor that it is about; empty for any.
    pub version: String,
    /// `PASSING`, `WARNING`, `ERROR` or `UNKNOWN`.
    pub status: String,
    /// Why.
    pub reason: String,
    /// What EKS says is to be done.
    pub recommendation: String,
    /// What it was found in: names of resources in AWS or in Kubernetes.
    pub resources: Vec<String>,
}

/// A version of an add-on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The version.
    pub version: String,
    /// Whether a cluster gets it that asks for none.
    pub is_default: bool,
}

/// How long a Kubernetes minor is supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// The minor.
    pub version: String,
    /// `STANDARD_SUPPORT`, `EXTENDED_SUPPORT` or `UNSUPPORTED`.
    pub status: String,
    /// When standard support ends.
    pub ends: Option<Date>,
}

impl Insight {
    /// Says whether it is about a step to this minor.
    #[must_use]
    pub fn concerns(&self, minor: &KubernetesVersion) -> bool {
        let own = self.version.parse::<KubernetesVersion>();
        own.map_or(true, |own| own.minor() <= minor.minor())
    }

    /// Says whether something would not work with this minor.
    #[must_use]
    pub fn objects_to(&self, minor: &KubernetesVersion) -> bool {
        self.status == "ERROR" && self.concerns(minor)
    }

    /// Says why, and where.
    #[must_use]
    pub fn detail(&self) -> String {
        match self.resources.as_slice() {
            [] => self.reason.clone(),
            resources => format!("{} ({})", self.reason, resources.join(", ")),
        }
    }
}

impl fmt::Display for Insight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail())
    }
}

impl Eks {
    /// Makes a client.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Gives the Kubernetes minor of a cluster's control plane; nothing when there is no cluster.
    pub async fn version(&self, cluster: &str) -> Answer<Option<String>> {
        let answer = self.0.describe_cluster().name(cluster).send().await;
        let unknown = match answer.map_err(Unknown::of("eks:DescribeCluster")) {
            Ok(answer) => {
                let version = answer.cluster().and_then(|cluster| cluster.version());
                return Ok(version.map(String::from));
            }
            Err(unknown) => unknown,
        };
        if unknown.source.is("ResourceNotFoundException") {
            return Ok(None);
        }
        Err(unknown)
    }

    /// Lists the region's clusters.
    pub async fn clusters(&self) -> Answer<Vec<String>> {
        let pages = self.0.list_clusters().into_paginator().items().send();
        let found = pages.collect::<Result<_, _>>().await;
        found.map_err(Unknown::of("eks:ListClusters"))
    }

    /// Gives the Kubernetes minors of a cluster's node groups.
    pub async fn node_groups(&self, cluster: &str) -> Answer<BTreeMap<String, String>> {
        let pages = self.0.list_nodegroups().cluster_name(cluster);
        let names: Result<Vec<String>, _> = pages.into_paginator().items().send().collect().await;
        let names = names.map_err(Unknown::of("eks:ListNodegroups"))?;
        let described = names.into_iter().map(|name| async {
            let call = self.0.describe_nodegroup().cluster_name(cluster);
            let answer = call.nodegroup_name(&name).send().await;
            let answer = answer.map_err(Unknown::of("eks:DescribeNodegroup"))?;
            let version = answer.nodegroup().and_then(|group| group.version());
            Ok((name, version.unwrap_or_default().to_owned()))
        });
        Ok(try_join_all(described).await?.into_iter().collect())
    }

    /// Gives the versions of a cluster's add-ons.
    pub async fn installed(&self, cluster: &str) -> Answer<BTreeMap<String, String>> {
        let pages = self.0.list_addons().cluster_name(cluster);
        let names: Result<Vec<String>, _> = pages.into_paginator().items().send().collect().await;
        let names = names.map_err(Unknown::of("eks:ListAddons"))?;
        let described = names.into_iter().map(|name| async {
            let call = self.0.describe_addon().cluster_name(cluster);
            let answer = call.addon_name(&name).send().await;
            let answer = answer.map_err(Unknown::of("eks:DescribeAddon"))?;
            let version = answer.addon().and_then(|addon| addon.addon_version());
            Ok((name, version.unwrap_or_default().to_owned()))
        });
        Ok(try_join_all(described).await?.into_iter().collect())
    }

    /// Gives the versions of an add-on that fit a Kubernetes minor, as EKS orders them.
    pub async fn offered(&self, add_on: &str, minor: &KubernetesVersion) -> Answer<Vec<Offered>> {
        let pages = self.0.describe_addon_versions().addon_name(add_on);
        let pages = pages.kubernetes_version(minor.as_str()).into_paginator();
        let found: Result<Vec<_>, _> = pages.items().send().collect().await;
        let found = found.map_err(Unknown::of("eks:DescribeAddonVersions"))?;
        let versions = found.iter().flat_map(AddonInfo::addon_versions);
        let offered = versions.map(|version| Offered {
            version: version.addon_version().unwrap_or_default().into(),
            is_default: version.compatibilities().iter().any(|fits| {
                fits.cluster_version() == Some(minor.as_str()) && fits.default_version()
            }),
        });
        Ok(offered.collect())
    }

    /// Gives how long the Kubernetes minors are supported that EKS has.
    pub async fn support(&self) -> Answer<Vec<Support>> {
        let pages = self.0.describe_cluster_versions().include_all(true);
        let found: Result<Vec<_>, _> = pages.into_paginator().items().send().collect().await;
        let found = found.map_err(Unknown::of("eks:DescribeClusterVersions"))?;
        let support = found.iter().map(|one| Support {
            version: one.cluster_version().unwrap_or_default().into(),
            status: one
                .version_status()
                .map_or("", |status| status.as_str())
                .into(),
            ends: one.end_of_standard_support_date().and_then(date),
        });
        Ok(support.collect())
    }

    /// Gives what does not pass of what EKS looks at before an upgrade.
    pub async fn insights(&self, cluster: &str) -> Answer<Vec<Insight>> {
        let filter = InsightsFilter::builder().categories(Category::UpgradeReadiness);
        let pages = self.0.list_insights().cluster_name(cluster);
        let pages = pages.filter(filter.build()).into_paginator();
        let found: Result<Vec<_>, _> = pages.items().send().collect().await;
        let found = found.map_err(Unknown::of("eks:ListInsights"))?;
        let open = found.iter().filter(|summary| {
            let status = summary.insight_status().and_then(|status| status.status());
            status.is_none_or(|status| status.as_str() != "PASSING")
        });
        let described = open.map(|summary| self.insight(cluster, summary.id().unwrap_or_default()));
        let mut insights = try_join_all(described).await?;
        insights.sort_by(|a, b| (&a.version, &a.name).cmp(&(&b.version, &b.name)));
        Ok(insights)
    }

    async fn insight(&self, cluster: &str, id: &str) -> Answer<Insight> {
        let call = self.0.describe_insight().cluster_name(cluster).id(id);
        let answer = call.send().await;
        let answer = answer.map_err(Unknown::of("eks:DescribeInsight"))?;
        let found = answer.insight();
        let status = found.and_then(|insight| insight.insight_status());
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let resources = found
            .map(aws_sdk_eks::types::Insight::resources)
            .unwrap_or_default();
        Ok(Insight {
            name: text(found.and_then(|insight| insight.name())),
            version: text(found.and_then(|insight| insight.kubernetes_version())),
            status: status
                .and_then(|status| status.status())
                .map_or("UNKNOWN", |status| status.as_str())
                .into(),
            reason: text(status.and_then(|status| status.reason())),
            recommendation: text(found.and_then(|insight| insight.recommendation())),
            resources: resources
                .iter()
                .filter_map(|one| one.kubernetes_resource_uri().or(one.arn()))
                .map(String::from)
                .collect(),
        })
    }
}

fn date(time: &DateTime) -> Option<Date> {
    let time = jiff::Timestamp::from_second(time.secs()).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).date())
}
