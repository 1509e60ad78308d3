"""EKS, which LocalStack's community edition lacks: control planes as records of what was asked for.

A control plane is usable at once. Its endpoint and certificate authority are those of a cluster
that runs elsewhere, if a kubeconfig names one (`api_server`).
"""

from localstack.services.plugins import Service, aws_provider

from localstack_eks.eks import (
    access,
    addons,
    clusters,
    identities,
    insights,
    node_groups,
    tagging,
    versions,
)
from localstack_eks.serve import Operation, serve

OPERATIONS: dict[str, Operation] = {
    "AssociateAccessPolicy": access.associate_policy,
    "CreateAccessEntry": access.create,
    "CreateAddon": addons.create,
    "CreateCluster": clusters.create,
    "CreateNodegroup": node_groups.create,
    "CreatePodIdentityAssociation": identities.create,
    "DeleteAccessEntry": access.delete,
    "DeleteAddon": addons.delete,
    "DeleteCluster": clusters.delete,
    "DeleteNodegroup": node_groups.delete,
    "DeletePodIdentityAssociation": identities.delete,
    "DescribeAccessEntry": access.describe,
    "DescribeAddon": addons.describe,
    "DescribeAddonVersions": versions.describe_addons,
    "DescribeCluster": clusters.describe,
    "DescribeClusterVersions": versions.describe_clusters,
    "DescribeInsight": insights.describe,
    "DescribeNodegroup": node_groups.describe,
    "DescribePodIdentityAssociation": identities.describe,
    "DescribeUpdate": clusters.describe_update,
    "DisassociateAccessPolicy": access.disassociate_policy,
    "ListAccessEntries": access.list_all,
    "ListAddons": addons.list_all,
    "ListAssociatedAccessPolicies": access.list_policies,
    "ListClusters": clusters.list_all,
    "ListInsights": insights.list_all,
    "ListNodegroups": node_groups.list_all,
    "ListPodIdentityAssociations": identities.list_all,
    "ListTagsForResource": tagging.list_tags,
    "TagResource": tagging.tag,
    "UntagResource": tagging.untag,
    "UpdateAccessEntry": access.update,
    "UpdateAddon": addons.update,
    "UpdateClusterConfig": clusters.update_config,
    "UpdateClusterVersion": clusters.update_version,
    "UpdateNodegroupConfig": node_groups.update_config,
    "UpdateNodegroupVersion": node_groups.update_version,
    "UpdatePodIdentityAssociation": identities.update,
}
"""What is served; LocalStack answers that anything else is not implemented."""


@aws_provider(api="eks")
def service() -> Service:
    """Build the service."""
    return serve("eks", OPERATIONS)
