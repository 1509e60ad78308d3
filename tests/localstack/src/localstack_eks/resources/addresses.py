"""Public addresses and the NAT gateways that have them."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, StrictProvider, pick
from localstack_eks.resources.ec2 import retag, tagged


class Address(StrictProvider):
    """A public address that stays."""

    type_name = "AWS::EC2::EIP"
    identifier = "PublicIp"
    properties = frozenset({"Domain", "Tags"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        made = aws.ec2.allocate_address(Domain="vpc", **tagged("elastic-ip", model, request))
        model.update(pick(made, "AllocationId", "PublicIp"))

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        retag(aws, model["AllocationId"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.release_address(AllocationId=model["AllocationId"])


class NatGateway(StrictProvider):
    """The way out of private subnets."""

    type_name = "AWS::EC2::NatGateway"
    identifier = "NatGatewayId"
    properties = frozenset({"AllocationId", "ConnectivityType", "SubnetId", "Tags"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = pick(model, "AllocationId", "ConnectivityType", "SubnetId")
        made = aws.ec2.create_nat_gateway(**arguments, **tagged("natgateway", model, request))
        model["NatGatewayId"] = made["NatGateway"]["NatGatewayId"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        retag(aws, model["NatGatewayId"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_nat_gateway(NatGatewayId=model["NatGatewayId"])
