"""Rules for events."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    default_name,
    document,
    gone,
    pick,
    tag_list,
    tags,
)


class Rule(StrictProvider):
    """Where events go."""

    type_name = "AWS::Events::Rule"
    identifier = "Arn"
    properties = frozenset({"Description", "EventPattern", "Name", "State", "Tags", "Targets"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("Name", default_name(request))
        self._settle(aws, model, {}, request)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        self._settle(aws, model, before, request)
        if removed := gone(before, model):
            aws.events.untag_resource(ResourceARN=model["Arn"], TagKeys=removed)

    def remove(self, aws: Any, model: Model) -> None:
        identifiers = [target["Id"] for target in model.get("Targets") or []]
        if identifiers:
            aws.events.remove_targets(Rule=model["Name"], Ids=identifiers)
        aws.events.delete_rule(**pick(model, "Name"))

    def _settle(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        made = aws.events.put_rule(
            **pick(model, "Description", "Name", "State"),
            EventPattern=document(model["EventPattern"]),
        )
        model["Arn"] = made["RuleArn"]
        aws.events.tag_resource(ResourceARN=model["Arn"], Tags=tag_list(tags(model, request)))
        wanted = {target["Id"]: target for target in model.get("Targets") or []}
        old = {target["Id"] for target in before.get("Targets") or []} - wanted.keys()
        if old:
            aws.events.remove_targets(Rule=model["Name"], Ids=sorted(old))
        if wanted:
            targets = list(wanted.values())
            failed = aws.events.put_targets(Rule=model["Name"], Targets=targets)
            if failed["FailedEntryCount"]:
                raise RuntimeError(str(failed["FailedEntries"]))
