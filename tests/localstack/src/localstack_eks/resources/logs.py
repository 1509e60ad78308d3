"""Log groups, and the flow logs that write to them."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    default_name,
    document,
    gone,
    pick,
    tags,
)
from localstack_eks.resources.ec2 import retag, tagged


class LogGroup(StrictProvider):
    """A log group that forgets after a while."""

    type_name = "AWS::Logs::LogGroup"
    identifier = "LogGroupName"
    properties = frozenset({"LogGroupName", "RetentionInDays", "Tags"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        name = model.setdefault("LogGroupName", default_name(request, 512))
        aws.logs.create_log_group(logGroupName=name, tags=tags(model, request))
        found = aws.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        model["Arn"] = next(group["arn"] for group in found if group["logGroupName"] == name)
        self._settle(aws, model)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        self._settle(aws, model)
        arn = model["Arn"].removesuffix(":*")
        if removed := gone(before, model):
            aws.logs.untag_resource(resourceArn=arn, tagKeys=removed)
        aws.logs.tag_resource(resourceArn=arn, tags=tags(model, request))

    def remove(self, aws: Any, model: Model) -> None:
        aws.logs.delete_log_group(logGroupName=model["LogGroupName"])

    def _settle(self, aws: Any, model: Model) -> None:
        name = model["LogGroupName"]
        if days := model.get("RetentionInDays"):
            aws.logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
        else:
            aws.logs.delete_retention_policy(logGroupName=name)


class ResourcePolicy(StrictProvider):
    """Who else may write to log groups."""

    type_name = "AWS::Logs::ResourcePolicy"
    identifier = "PolicyName"
    properties = frozenset({"PolicyDocument", "PolicyName"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        text = document(model["PolicyDocument"])
        aws.logs.put_resource_policy(policyName=model["PolicyName"], policyDocument=text)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        self.add(aws, model, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.logs.delete_resource_policy(policyName=model["PolicyName"])


class FlowLog(StrictProvider):
    """Who talked to whom in a VPC."""

    type_name = "AWS::EC2::FlowLog"
    identifier = "Id"
    plain = (
        "DeliverLogsPermissionArn",
        "LogDestinationType",
        "LogGroupName",
        "MaxAggregationInterval",
        "ResourceType",
        "TrafficType",
    )
    properties = frozenset({"ResourceId", "Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = pick(model, *self.plain) | tagged("vpc-flow-log", model, request)
        made = aws.ec2.create_flow_logs(ResourceIds=[model["ResourceId"]], **arguments)
        if refused := made.get("Unsuccessful"):
            raise RuntimeError(refused[0]["Error"]["Message"])
        model["Id"] = made["FlowLogIds"][0]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        retag(aws, model["Id"], model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_flow_logs(FlowLogIds=[model["Id"]])
