"""Alarms and dashboards."""

import json
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


class Alarm(StrictProvider):
    """An alarm of one metric."""

    type_name = "AWS::CloudWatch::Alarm"
    identifier = "AlarmName"
    plain = (
        "AlarmActions",
        "AlarmDescription",
        "AlarmName",
        "ComparisonOperator",
        "Dimensions",
        "EvaluationPeriods",
        "ExtendedStatistic",
        "MetricName",
        "Namespace",
        "OKActions",
        "Period",
        "Statistic",
        "Threshold",
        "TreatMissingData",
    )
    properties = frozenset({"Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("AlarmName", default_name(request, 255))
        self._settle(aws, model, request)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        self._settle(aws, model, request)
        if removed := gone(before, model):
            aws.cloudwatch.untag_resource(ResourceARN=model["Arn"], TagKeys=removed)

    def remove(self, aws: Any, model: Model) -> None:
        aws.cloudwatch.delete_alarms(AlarmNames=[model["AlarmName"]])

    def _settle(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        call(aws.cloudwatch, "put_metric_alarm", **pick(model, *self.plain))
        name = [model["AlarmName"]]
        (found,) = aws.cloudwatch.describe_alarms(AlarmNames=name)["MetricAlarms"]
        model["Arn"] = found["AlarmArn"]
        listed = tag_list(tags(model, request))
        aws.cloudwatch.tag_resource(ResourceARN=model["Arn"], Tags=listed)


class Dashboard(StrictProvider):
    """A dashboard."""

    type_name = "AWS::CloudWatch::Dashboard"
    identifier = "DashboardName"
    properties = frozenset({"DashboardBody", "DashboardName"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("DashboardName", default_name(request, 255))
        # CloudWatch refuses what is no JSON; LocalStack keeps any text.
        json.loads(model["DashboardBody"])
        aws.cloudwatch.put_dashboard(**pick(model, "DashboardBody", "DashboardName"))

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        self.add(aws, model, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.cloudwatch.delete_dashboards(DashboardNames=[model["DashboardName"]])
