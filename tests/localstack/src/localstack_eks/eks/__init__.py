"""EKS, which LocalStack's community edition lacks: control planes as records of what was asked for.

A control plane is usable at once. Its endpoint and certificate authority are those of a cluster
that runs elsewhere, if a kubeconfig names one (`api_server`).
"""

import copy
from collections.abc import Callable
from typing import Any

from localstack.aws.api import RequestContext
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.plugins import Service, aws_provider

from localstack_eks.eks import access, clusters, tagging

Operation = Callable[[RequestContext, dict[str, Any]], dict[str, Any]]

OPERATIONS: dict[str, Operation] = {
    "AssociateAccessPolicy": access.associate_policy,
    "CreateAccessEntry": access.create,
    "CreateCluster": clusters.create,
    "DeleteAccessEntry": access.delete,
    "DeleteCluster": clusters.delete,
    "DescribeAccessEntry": access.describe,
    "DescribeCluster": clusters.describe,
    "DescribeUpdate": clusters.describe_update,
    "DisassociateAccessPolicy": access.disassociate_policy,
    "ListAccessEntries": access.list_all,
    "ListAssociatedAccessPolicies": access.list_policies,
    "ListClusters": clusters.list_all,
    "ListTagsForResource": tagging.list_tags,
    "TagResource": tagging.tag,
    "UntagResource": tagging.untag,
    "UpdateAccessEntry": access.update,
    "UpdateClusterConfig": clusters.update_config,
    "UpdateClusterVersion": clusters.update_version,
}
"""What is served; LocalStack answers that anything else is not implemented."""


def _isolated(operation: Operation) -> Operation:
    """Give an answer of its own to each caller: the records keep changing."""
    return lambda context, request: copy.deepcopy(operation(context, dict(request)))


@aws_provider(api="eks")
def service() -> Service:
    """Build the service."""
    table = {name: _isolated(operation) for name, operation in OPERATIONS.items()}
    return Service(name="eks", skeleton=Skeleton(load_service("eks"), table))
