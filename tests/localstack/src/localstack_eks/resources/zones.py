"""Zones of Route 53 and records in them."""

import uuid
from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, StrictProvider, call, pick, tag_list


class HostedZone(StrictProvider):
    """A public zone."""

    type_name = "AWS::Route53::HostedZone"
    identifier = "Id"
    properties = frozenset({"HostedZoneConfig", "HostedZoneTags", "Name"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = pick(model, "HostedZoneConfig", "Name") | {"CallerReference": str(uuid.uuid4())}
        made = call(aws.route53, "create_hosted_zone", **arguments)
        model["Id"] = made["HostedZone"]["Id"].removeprefix("/hostedzone/")
        model["NameServers"] = made["DelegationSet"]["NameServers"]
        self._tag(aws, model, {}, request)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        comment = (model.get("HostedZoneConfig") or {}).get("Comment", "")
        aws.route53.update_hosted_zone_comment(Id=model["Id"], Comment=comment)
        self._tag(aws, model, before, request)

    def remove(self, aws: Any, model: Model) -> None:
        aws.route53.delete_hosted_zone(Id=model["Id"])

    def _tag(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        new, old = (one.get("HostedZoneTags") or [] for one in (model, before))
        names = {tag["Key"] for tag in new}
        own = {tag["Key"]: str(tag["Value"]) for tag in new}
        changes = {
            "AddTags": tag_list({**request.custom_context.get("stack_tags", {}), **own}),
            "RemoveTagKeys": sorted({tag["Key"] for tag in old} - names),
        }
        zone = {"ResourceType": "hostedzone", "ResourceId": model["Id"]}
        said = {name: value for name, value in changes.items() if value}
        aws.route53.change_tags_for_resource(**zone, **said)


class RecordSet(StrictProvider):
    """A record that stands for something of AWS."""

    type_name = "AWS::Route53::RecordSet"
    identifier = "Id"
    properties = frozenset({"AliasTarget", "HostedZoneId", "Name", "Type"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        # LocalStack takes a name that comes after this one, and was there before, for this one.
        if record_of(aws, model):
            raise FileExistsError(f"{model['Name']} exists already")
        write(aws, "UPSERT", model)
        model["Id"] = model["Name"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        write(aws, "UPSERT", model)

    def remove(self, aws: Any, model: Model) -> None:
        write(aws, "DELETE", model)


def record_of(aws: Any, model: Model) -> Model | None:
    """Find a record of a zone."""
    zone, name = {"HostedZoneId": model["HostedZoneId"]}, model["Name"].rstrip(".")
    pages = aws.route53.get_paginator("list_resource_record_sets").paginate(**zone)
    every = [one for page in pages for one in page["ResourceRecordSets"]]
    mine = [one for one in every if (one["Name"], one["Type"]) == (f"{name}.", model["Type"])]
    return mine[0] if mine else None


def write(aws: Any, action: str, record: Model) -> None:
    """Change a record of a zone."""
    spelt = pick(record, "AliasTarget", "Name", "ResourceRecords", "TTL", "Type")
    changes = [{"Action": action, "ResourceRecordSet": spelt}]
    zone = {"HostedZoneId": record["HostedZoneId"], "ChangeBatch": {"Changes": changes}}
    call(aws.route53, "change_resource_record_sets", **zone)
