"""Names and certificates, read from their services."""

from typing import Any

from localstack_eks.cloudformation.live import GoneError, only, reads
from localstack_eks.provider import Model


@reads("AWS::Route53::HostedZone")
def hosted_zone(aws: Any, model: Model) -> Model:
    """Read a zone."""
    found = aws.route53.get_hosted_zone(Id=model["Id"])["HostedZone"]
    comment = {"Comment": found["Config"].get("Comment")}
    return {"HostedZoneConfig": comment, "Name": found["Name"].removesuffix(".")}


@reads("AWS::Route53::RecordSet")
def record_set(aws: Any, model: Model) -> Model:
    """Read a record."""
    wanted = {"StartRecordName": model["Name"], "StartRecordType": model["Type"]}
    zone = {"HostedZoneId": model["HostedZoneId"]}
    listed = aws.route53.list_resource_record_sets(**zone, **wanted)["ResourceRecordSets"]
    names = {model["Name"], f"{model['Name']}."}
    found = only([one for one in listed if one["Name"] in names and one["Type"] == model["Type"]])
    target = found.get("AliasTarget")
    if not target:
        raise GoneError(model)
    return {"AliasTarget": target | {"DNSName": target["DNSName"].removesuffix(".")}}
