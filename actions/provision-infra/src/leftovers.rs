//! What Kubernetes made outside of the stacks and its cluster leaves behind: whose it is, what it
//! holds, and in which order it goes. Pure, apart from [`find`] and [`remove`].
//!
//! A controller tags what it makes with the cluster's name, and those tags are all that is known of
//! it: what has none of them, or is in a stack, is somebody else's.

mod find;
mod remove;

use std::fmt;

use plan::{Change, Operation};

use crate::config::Target;
use crate::stack::Values;

pub use find::Outside;

/// The part of a plan that none of the stacks holds.
const PART: &str = "outside of the stacks";
/// The tag of what is in a stack.
const IN_A_STACK: &str = "aws:cloudformation:stack-name";
/// What the tags of AWS Backup's recovery points begin with. They have the volume's tags as well,
/// and only AWS Backup can delete them.
const RECOVERY_POINT: &str = "aws:backup:";
/// The tag of the security group that EKS makes for a cluster.
const OF_EKS: &str = "aws:eks:cluster-name";

/// What controllers make, in the order in which it goes: what uses something else comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A load balancer.
    LoadBalancer,
    /// The targets of one.
    TargetGroup,
    /// A network interface that no machine has.
    Interface,
    /// A security group.
    SecurityGroup,
    /// A snapshot of a volume.
    Snapshot,
    /// A volume.
    Volume,
}

impl Kind {
    /// Gives the type, in CloudFormation's way of naming.
    fn type_name(self) -> &'static str {
        match self {
            Self::LoadBalancer => "AWS::ElasticLoadBalancingV2::LoadBalancer",
            Self::TargetGroup => "AWS::ElasticLoadBalancingV2::TargetGroup",
            Self::Interface => "AWS::EC2::NetworkInterface",
            Self::SecurityGroup => "AWS::EC2::SecurityGroup",
            Self::Snapshot => "AWS::EC2::Snapshot",
            Self::Volume => "AWS::EC2::Volume",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::LoadBalancer => "load balancer",
            Self::TargetGroup => "target group",
            Self::Interface => "network interface",
            Self::SecurityGroup => "security group",
            Self::Snapshot => "snapshot",
            Self::Volume => "volume",
        }
    }

    fn holds_data(self) -> bool {
        matches!(self, Self::Snapshot | Self::Volume)
    }
}

/// Something in the account that may be a leftover.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// What it is deleted by.
    pub id: String,
    /// What people know it by.
    pub name: String,
    /// Its tags.
    pub tags: Values,
    /// Its size, when it holds data; in GiB, the unit of EC2.
    pub size: i32,
}

/// Something that a cluster leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: Kind,
    /// What it is deleted by.
    pub id: String,
    /// What people know it by.
    pub name: String,
    /// What it holds, or is called.
    pub holds: String,
    /// The tag that says whose it is.
    pub tag: String,
}

/// Something with data in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The name by which it is confirmed.
    pub name: String,
    /// The data.
    pub data: String,
}

/// Whose leftovers are looked for.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The project.
    pub project: String,
    /// The environment.
    pub environment: String,
    /// The cluster's name.
    pub cluster: String,
}

impl Owner {
    /// Takes an environment.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        Self {
            project: target.project.to_string(),
            environment: target.environment.to_string(),
            cluster: target.name(),
        }
    }

    /// Picks what is left behind, in the order in which it goes. While the cluster lives, EKS sees
    /// to its own.
    #[must_use]
    pub fn leftovers(&self, found: Vec<Found>, cluster_lives: bool) -> Vec<Leftover> {
        let mut leftovers: Vec<Leftover> = found
            .into_iter()
            .filter(|found| {
                let others = |tag: &String| tag == IN_A_STACK || tag.starts_with(RECOVERY_POINT);
                let of_eks = cluster_lives && found.tags.contains_key(OF_EKS);
                !of_eks && !found.tags.keys().any(others)
            })
            .filter_map(|found| {
                let tag = self.tag(&found.tags)?;
                Some(Leftover {
                    holds: found.holds(),
                    kind: found.kind,
                    id: found.id,
                    name: found.name,
                    tag,
                })
            })
            .collect();
        leftovers.sort_by(|a, b| (a.kind, &a.name, &a.id).cmp(&(b.kind, &b.name, &b.id)));
        leftovers
    }

    /// Finds the tag by which a controller of the cluster says that something is its own.
    fn tag(&self, tags: &Values) -> Option<String> {
        let cluster = self.cluster.as_str();
        let owned = format!("kubernetes.io/cluster/{cluster}");
        let marks = [
            // The load balancer controller.
            ("elbv2.k8s.aws/cluster", cluster),
            // The cloud controller, the driver of volumes and the controller of pods' interfaces.
            (owned.as_str(), "owned"),
            ("KubernetesCluster", cluster),
            ("ebs.csi.aws.com/cluster-name", cluster),
            // The network of pods.
            ("cluster.k8s.amazonaws.com/name", cluster),
            (OF_EKS, cluster),
        ];
        let has = |name: &str, value: &str| tags.get(name).is_some_and(|found| found == value);
        let mark = marks.iter().find(|(name, value)| has(name, value));
        // The driver of volumes may not know the cluster, but it adds the tags that it is given.
        let given = has("ebs.csi.aws.com/cluster", "true")
            && has("Project", &self.project)
            && has("Environment", &self.environment);
        mark.map(|(name, value)| format!("{name}={value}"))
            .or_else(|| {
                given.then(|| format!("Project={}, Environment={}", self.project, self.environment))
            })
    }
}

impl Found {
    fn holds(&self) -> String {
        let tag = |name: &str| self.tags.get(name);
        let claim = tag("kubernetes.io/created-for/pvc/namespace")
            .zip(tag("kubernetes.io/created-for/pvc/name"));
        match (self.kind, claim) {
            (Kind::Volume, Some((namespace, name))) => {
                format!("{} GiB of the claim {namespace}/{name}", self.size)
            }
            (Kind::Volume, None) => format!("{} GiB", self.size),
            (Kind::Snapshot, _) => format!("a copy of {} GiB", self.size),
            (Kind::LoadBalancer | Kind::TargetGroup | Kind::Interface | Kind::SecurityGroup, _) => {
                [
                    "service.k8s.aws/stack",
                    "ingress.k8s.aws/stack",
                    "kubernetes.io/service-name",
                ]
                .iter()
                .find_map(|name| tag(name))
                .map(|made_for| format!("made for {made_for}"))
                .unwrap_or_default()
            }
        }
    }
}

impl Leftover {
    fn change(&self) -> Change {
        let (kind, tag) = (self.kind, format!("tag {}", self.tag));
        let mut remarks = vec![self.holds.as_str(), &tag];
        remarks.retain(|remark| !remark.is_empty());
        let change = Change::new(Operation::Delete, kind.type_name(), &self.name);
        Change {
            loses_data: kind.holds_data(),
            ..change.part(PART).reason(remarks.join("; "))
        }
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind.word(), self.name)
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.data)
    }
}

/// Plans the removal.
#[must_use]
pub fn changes(leftovers: &[Leftover]) -> Vec<Change> {
    leftovers.iter().map(Leftover::change).collect()
}

/// Lists what holds data.
pub fn holdings(leftovers: &[Leftover]) -> impl Iterator<Item = Holding> {
    let holding = leftovers.iter().filter(|one| one.kind.holds_data());
    holding.map(|one| Holding {
        name: one.name.clone(),
        data: one.holds.clone(),
    })
}
