"""Security groups and their rules."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, StrictProvider, call, default_name, pick
from localstack_eks.resources.ec2 import retag, tagged

OTHERS = ("DestinationSecurityGroupId", "SourceSecurityGroupId")
EVERYWHERE = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
"""What a group lets out when nothing is said."""


def permission(rule: Model) -> Model:
    """Spell a rule as the service does."""
    spelt = pick(rule, "FromPort", "IpProtocol", "ToPort")
    about = pick(rule, "Description")
    if "CidrIp" in rule:
        spelt["IpRanges"] = [pick(rule, "CidrIp") | about]
    groups = [rule[key] for key in OTHERS if key in rule]
    if groups:
        spelt["UserIdGroupPairs"] = [{"GroupId": group} | about for group in groups]
    return spelt


class SecurityGroup(StrictProvider):
    """A security group with its rules."""

    type_name = "AWS::EC2::SecurityGroup"
    identifier = "GroupId"
    rules = (
        ("SecurityGroupIngress", "authorize_security_group_ingress"),
        ("SecurityGroupEgress", "authorize_security_group_egress"),
    )
    properties = frozenset(
        {"GroupDescription", "GroupName", "SecurityGroupEgress", "SecurityGroupIngress", "Tags"}
        | {"VpcId"}
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        made = aws.ec2.create_security_group(
            GroupName=model.setdefault("GroupName", default_name(request, 255)),
            Description=model["GroupDescription"],
            VpcId=model["VpcId"],
            **tagged("security-group", model, request),
        )
        model["GroupId"] = model["Id"] = made["GroupId"]
        if model.get("SecurityGroupEgress"):
            mine = pick(model, "GroupId")
            aws.ec2.revoke_security_group_egress(**mine, IpPermissions=EVERYWHERE)
        for key, authorize in self.rules:
            self._permit(aws, model, authorize, model.get(key) or [])

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        for key, authorize in self.rules:
            new, old = (one.get(key) or [] for one in (model, before))
            if bool(new) != bool(old) and key == "SecurityGroupEgress":
                raise NotImplementedError(f"LocalStack cannot add or remove all {key}")
            revoke = authorize.replace("authorize", "revoke")
            self._permit(aws, model, revoke, [rule for rule in old if rule not in new])
            self._permit(aws, model, authorize, [rule for rule in new if rule not in old])
        retag(aws, model["GroupId"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_security_group(**pick(model, "GroupId"))

    def _permit(self, aws: Any, model: Model, method: str, rules: list[Model]) -> None:
        if rules:
            permissions = [permission(rule) for rule in rules]
            call(aws.ec2, method, **pick(model, "GroupId"), IpPermissions=permissions)


class Ingress(StrictProvider):
    """A rule of a security group that something else has made."""

    type_name = "AWS::EC2::SecurityGroupIngress"
    identifier = "Id"
    properties = frozenset(
        {
            *("CidrIp", "Description", "FromPort", "GroupId", "IpProtocol"),
            *("SourceSecurityGroupId", "ToPort"),
        }
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        made = call(aws.ec2, "authorize_security_group_ingress", **self._rule(model))
        model["Id"] = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        self.remove(aws, before)
        self.add(aws, model, request)

    def remove(self, aws: Any, model: Model) -> None:
        call(aws.ec2, "revoke_security_group_ingress", **self._rule(model))

    def _rule(self, model: Model) -> Model:
        return {**pick(model, "GroupId"), "IpPermissions": [permission(model)]}
