//! The versions of the cluster's add-ons.

use serde::Deserialize;

use super::names::AddOnVersion;

/// The versions that are wanted; of an add-on that is not named, EKS gives the one that fits the
/// cluster's Kubernetes when it is made.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AddOns {
    /// Addresses of the VPC for pods.
    pub vpc_cni: Option<AddOnVersion>,
    /// Services.
    pub kube_proxy: Option<AddOnVersion>,
    /// Identities of pods.
    pub eks_pod_identity_agent: Option<AddOnVersion>,
    /// Names.
    pub coredns: Option<AddOnVersion>,
    /// Volumes.
    pub aws_ebs_csi_driver: Option<AddOnVersion>,
}

impl AddOns {
    /// Gives all add-ons by the names that EKS has for them.
    #[must_use]
    pub fn versions(&self) -> Vec<(&'static str, Option<AddOnVersion>)> {
        vec![
            ("vpc-cni", self.vpc_cni.clone()),
            ("kube-proxy", self.kube_proxy.clone()),
            (
                "eks-pod-identity-agent",
                self.eks_pod_identity_agent.clone(),
            ),
            ("coredns", self.coredns.clone()),
            ("aws-ebs-csi-driver", self.aws_ebs_csi_driver.clone()),
        ]
    }

    /// Gives the parameters that the file sets.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let versions = [
            ("VpcCni", &self.vpc_cni),
            ("KubeProxy", &self.kube_proxy),
            ("PodIdentityAgent", &self.eks_pod_identity_agent),
            ("CoreDns", &self.coredns),
            ("EbsCsiDriver", &self.aws_ebs_csi_driver),
        ];
        versions
            .into_iter()
            .filter_map(|(name, version)| {
                Some((format!("{name}Version"), version.as_ref()?.to_string()))
            })
            .collect()
    }
}
