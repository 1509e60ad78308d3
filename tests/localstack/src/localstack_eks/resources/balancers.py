"""Load balancers, what they listen to, and where they send requests."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    call,
    default_name,
    gone,
    pick,
    tag_list,
    tags,
)

NAME = 32
"""How long a name of a load balancer or a target group is at most."""


def retag(aws: Any, arn: str, model: Model, before: Model, request: ResourceRequest) -> None:
    """Make a resource's tags what its model says."""
    if removed := gone(before, model):
        aws.elbv2.remove_tags(ResourceArns=[arn], TagKeys=removed)
    aws.elbv2.add_tags(ResourceArns=[arn], Tags=tag_list(tags(model, request)))


class LoadBalancer(StrictProvider):
    """An application load balancer."""

    type_name = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    identifier = "LoadBalancerArn"
    plain = ("IpAddressType", "Name", "Scheme", "SecurityGroups", "Subnets", "Type")
    properties = frozenset({"LoadBalancerAttributes", "Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("Name", default_name(request, NAME))
        arguments = pick(model, *self.plain) | {"Tags": tag_list(tags(model, request))}
        (made,) = call(aws.elbv2, "create_load_balancer", **arguments)["LoadBalancers"]
        arn = made["LoadBalancerArn"]
        model.update(
            LoadBalancerArn=arn,
            CanonicalHostedZoneID=made["CanonicalHostedZoneId"],
            DNSName=made["DNSName"],
            LoadBalancerFullName=arn.split(":loadbalancer/")[1],
            LoadBalancerName=made["LoadBalancerName"],
        )
        self._settle(aws, model)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        mine = pick(model, "LoadBalancerArn")
        if model.get("IpAddressType") != before.get("IpAddressType"):
            aws.elbv2.set_ip_address_type(**mine, **pick(model, "IpAddressType"))
        aws.elbv2.set_security_groups(**mine, **pick(model, "SecurityGroups"))
        aws.elbv2.set_subnets(**mine, **pick(model, "Subnets"))
        self._settle(aws, model)
        retag(aws, model["LoadBalancerArn"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.elbv2.delete_load_balancer(**pick(model, "LoadBalancerArn"))

    def _settle(self, aws: Any, model: Model) -> None:
        attributes = {"Attributes": model.get("LoadBalancerAttributes") or []}
        mine = pick(model, "LoadBalancerArn")
        call(aws.elbv2, "modify_load_balancer_attributes", **mine, **attributes)


class Listener(StrictProvider):
    """A port of a load balancer."""

    type_name = "AWS::ElasticLoadBalancingV2::Listener"
    identifier = "ListenerArn"
    changing = ("Certificates", "DefaultActions", "Port", "Protocol", "SslPolicy")
    properties = frozenset({"LoadBalancerArn", *changing})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        arguments = pick(model, *self.properties)
        (made,) = call(aws.elbv2, "create_listener", **arguments)["Listeners"]
        model["ListenerArn"] = made["ListenerArn"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        call(aws.elbv2, "modify_listener", **pick(model, "ListenerArn", *self.changing))

    def remove(self, aws: Any, model: Model) -> None:
        aws.elbv2.delete_listener(**pick(model, "ListenerArn"))


class TargetGroup(StrictProvider):
    """Where requests are sent."""

    type_name = "AWS::ElasticLoadBalancingV2::TargetGroup"
    identifier = "TargetGroupArn"
    checks = (
        *("HealthCheckIntervalSeconds", "HealthCheckPath", "HealthCheckPort"),
        *("HealthCheckProtocol", "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "Matcher"),
        "UnhealthyThresholdCount",
    )
    fixed = ("Name", "Port", "Protocol", "TargetType", "VpcId")
    properties = frozenset({"Tags", "TargetGroupAttributes", *checks, *fixed})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("Name", default_name(request, NAME))
        arguments = pick(model, *self.checks, *self.fixed)
        arguments["Tags"] = tag_list(tags(model, request))
        (made,) = call(aws.elbv2, "create_target_group", **arguments)["TargetGroups"]
        model["TargetGroupArn"] = made["TargetGroupArn"]
        model["TargetGroupFullName"] = made["TargetGroupArn"].rsplit(":", 1)[1]
        self._settle(aws, model)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        call(aws.elbv2, "modify_target_group", **pick(model, "TargetGroupArn", *self.checks))
        self._settle(aws, model)
        retag(aws, model["TargetGroupArn"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.elbv2.delete_target_group(**pick(model, "TargetGroupArn"))

    def _settle(self, aws: Any, model: Model) -> None:
        attributes = {"Attributes": model.get("TargetGroupAttributes") or []}
        mine = pick(model, "TargetGroupArn")
        call(aws.elbv2, "modify_target_group_attributes", **mine, **attributes)
