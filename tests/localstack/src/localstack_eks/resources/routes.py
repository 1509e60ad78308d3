"""Route tables, their routes, and the subnets that use them."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, StrictProvider, pick
from localstack_eks.resources.ec2 import retag, tagged


class RouteTable(StrictProvider):
    """A route table."""

    type_name = "AWS::EC2::RouteTable"
    identifier = "RouteTableId"
    properties = frozenset({"Tags", "VpcId"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = tagged("route-table", model, request)
        made = aws.ec2.create_route_table(VpcId=model["VpcId"], **arguments)
        model["RouteTableId"] = made["RouteTable"]["RouteTableId"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        retag(aws, model["RouteTableId"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_route_table(RouteTableId=model["RouteTableId"])


class Route(StrictProvider):
    """A route through an internet or a NAT gateway."""

    type_name = "AWS::EC2::Route"
    identifier = "Id"
    properties = frozenset({"DestinationCidrBlock", "GatewayId", "NatGatewayId", "RouteTableId"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        aws.ec2.create_route(**pick(model, *self.properties))
        model["Id"] = f"{model['RouteTableId']}|{model['DestinationCidrBlock']}"

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        aws.ec2.replace_route(**pick(model, *self.properties))

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_route(**pick(model, "DestinationCidrBlock", "RouteTableId"))


class RouteTableAssociation(StrictProvider):
    """The route table of a subnet."""

    type_name = "AWS::EC2::SubnetRouteTableAssociation"
    identifier = "Id"
    properties = frozenset({"RouteTableId", "SubnetId"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        made = aws.ec2.associate_route_table(**pick(model, "RouteTableId", "SubnetId"))
        model["Id"] = made["AssociationId"]

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.disassociate_route_table(AssociationId=model["Id"])
