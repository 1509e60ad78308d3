"""What the EC2 resources have in common: how they are tagged."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, gone, tag_list, tags


def tagged(kind: str, model: Model, request: ResourceRequest) -> dict[str, Any]:
    """Give the argument that tags what a call creates."""
    listed = tag_list(tags(model, request))
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": listed}]}


def retag(aws: Any, resource: str, model: Model, before: Model, request: ResourceRequest) -> None:
    """Make a resource's tags what its model says."""
    if removed := gone(before, model):
        aws.ec2.delete_tags(Resources=[resource], Tags=[{"Key": key} for key in removed])
    aws.ec2.create_tags(Resources=[resource], Tags=tag_list(tags(model, request)))
