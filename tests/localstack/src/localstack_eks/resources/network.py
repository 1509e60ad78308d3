"""VPCs, subnets and gateways."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, StrictProvider, document, pick, truth
from localstack_eks.resources.ec2 import retag, tagged


class Vpc(StrictProvider):
    """A VPC with its DNS settings."""

    type_name = "AWS::EC2::VPC"
    identifier = "VpcId"
    properties = frozenset(
        {"CidrBlock", "EnableDnsHostnames", "EnableDnsSupport", "InstanceTenancy", "Tags"}
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = pick(model, "CidrBlock", "InstanceTenancy")
        vpc = aws.ec2.create_vpc(**arguments, **tagged("vpc", model, request))["Vpc"]
        model["VpcId"] = vpc["VpcId"]
        here = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        groups = aws.ec2.describe_security_groups(Filters=here)["SecurityGroups"]
        model["DefaultSecurityGroup"] = groups[0]["GroupId"]
        self._settle(aws, model)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        self._settle(aws, model)
        retag(aws, model["VpcId"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_vpc(VpcId=model["VpcId"])

    def _settle(self, aws: Any, model: Model) -> None:
        for name, default in (("EnableDnsSupport", True), ("EnableDnsHostnames", False)):
            value = {"Value": truth(model.get(name, default))}
            aws.ec2.modify_vpc_attribute(VpcId=model["VpcId"], **{name: value})


class Subnet(StrictProvider):
    """A subnet."""

    type_name = "AWS::EC2::Subnet"
    identifier = "SubnetId"
    properties = frozenset(
        {"AvailabilityZone", "CidrBlock", "MapPublicIpOnLaunch", "Tags", "VpcId"}
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = pick(model, "AvailabilityZone", "CidrBlock", "VpcId")
        subnet = aws.ec2.create_subnet(**arguments, **tagged("subnet", model, request))["Subnet"]
        model.update(SubnetId=subnet["SubnetId"], AvailabilityZone=subnet["AvailabilityZone"])
        self._settle(aws, model)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        self._settle(aws, model)
        retag(aws, model["SubnetId"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_subnet(SubnetId=model["SubnetId"])

    def _settle(self, aws: Any, model: Model) -> None:
        value = {"Value": truth(model.get("MapPublicIpOnLaunch", False))}
        aws.ec2.modify_subnet_attribute(SubnetId=model["SubnetId"], MapPublicIpOnLaunch=value)


class InternetGateway(StrictProvider):
    """An internet gateway."""

    type_name = "AWS::EC2::InternetGateway"
    identifier = "InternetGatewayId"
    properties = frozenset({"Tags"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        made = aws.ec2.create_internet_gateway(**tagged("internet-gateway", model, request))
        model["InternetGatewayId"] = made["InternetGateway"]["InternetGatewayId"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        retag(aws, model["InternetGatewayId"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_internet_gateway(InternetGatewayId=model["InternetGatewayId"])


class GatewayAttachment(StrictProvider):
    """The place of an internet gateway in a VPC."""

    type_name = "AWS::EC2::VPCGatewayAttachment"
    identifier = "Id"
    properties = frozenset({"InternetGatewayId", "VpcId"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        aws.ec2.attach_internet_gateway(**pick(model, "InternetGatewayId", "VpcId"))
        model["Id"] = f"IGW|{model['VpcId']}"

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.detach_internet_gateway(**pick(model, "InternetGatewayId", "VpcId"))


class VpcEndpoint(StrictProvider):
    """A door to a service of AWS."""

    type_name = "AWS::EC2::VPCEndpoint"
    identifier = "Id"
    lists = ("RouteTableIds", "SecurityGroupIds", "SubnetIds")
    properties = frozenset(
        {"PolicyDocument", "PrivateDnsEnabled", "ServiceName", "Tags", "VpcEndpointType", "VpcId"}
        | set(lists)
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = pick(model, "ServiceName", "VpcEndpointType", "VpcId", *self.lists)
        if "PrivateDnsEnabled" in model:
            arguments["PrivateDnsEnabled"] = truth(model["PrivateDnsEnabled"])
        if "PolicyDocument" in model:
            arguments["PolicyDocument"] = document(model["PolicyDocument"])
        arguments |= tagged("vpc-endpoint", model, request)
        model["Id"] = aws.ec2.create_vpc_endpoint(**arguments)["VpcEndpoint"]["VpcEndpointId"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        for key in self.properties - set(self.lists) - {"Tags"}:
            if model.get(key) != before.get(key):
                raise NotImplementedError(f"LocalStack cannot change {key} of {self.type_name}")
        arguments = {}
        for key in self.lists:
            new, old = set(model.get(key) or []), set(before.get(key) or [])
            if new != old:
                arguments |= {f"Add{key}": sorted(new - old), f"Remove{key}": sorted(old - new)}
        if arguments:
            aws.ec2.modify_vpc_endpoint(VpcEndpointId=model["Id"], **arguments)
        retag(aws, model["Id"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[model["Id"]])
