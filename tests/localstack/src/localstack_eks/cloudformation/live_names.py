"""Names and certificates, read from their services."""

from typing import Any

from localstack_eks.cloudformation.live import GoneError, reads
from localstack_eks.provider import Model
from localstack_eks.resources.zones import record_of


@reads("AWS::Route53::HostedZone")
def hosted_zone(aws: Any, model: Model) -> Model:
    """Read a zone."""
    found = aws.route53.get_hosted_zone(Id=model["Id"])["HostedZone"]
    comment = {"Comment": found["Config"].get("Comment")}
    return {"HostedZoneConfig": comment, "Name": found["Name"].removesuffix(".")}


@reads("AWS::Route53::RecordSet")
def record_set(aws: Any, model: Model) -> Model:
    """Read a record."""
    found = record_of(aws, model) or {}
    target = found.get("AliasTarget")
    if not target:
        raise GoneError(model)
    return {"AliasTarget": target | {"DNSName": target["DNSName"].removesuffix(".")}}
