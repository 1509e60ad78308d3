"""KMS keys and the names that they go by."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    document,
    gone,
    pick,
    tag_list,
    tags,
    truth,
)


class Key(StrictProvider):
    """A symmetric key."""

    type_name = "AWS::KMS::Key"
    identifier = "KeyId"
    properties = frozenset(
        {"Description", "EnableKeyRotation", "KeyPolicy", "PendingWindowInDays", "Tags"}
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = pick(model, "Description")
        if "KeyPolicy" in model:
            arguments["Policy"] = document(model["KeyPolicy"])
        listed = tag_list(tags(model, request), "TagKey", "TagValue")
        made = aws.kms.create_key(Tags=listed, **arguments)["KeyMetadata"]
        model.update(pick(made, "Arn", "KeyId"))
        self._rotate(aws, model)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        key = pick(model, "KeyId")
        aws.kms.update_key_description(**key, Description=model.get("Description", ""))
        if "KeyPolicy" in model:
            policy = document(model["KeyPolicy"])
            aws.kms.put_key_policy(**key, PolicyName="default", Policy=policy)
        self._rotate(aws, model)
        if removed := gone(before, model):
            aws.kms.untag_resource(**key, TagKeys=removed)
        listed = tag_list(tags(model, request), "TagKey", "TagValue")
        aws.kms.tag_resource(**key, Tags=listed)

    def remove(self, aws: Any, model: Model) -> None:
        days = int(model.get("PendingWindowInDays") or 30)
        aws.kms.schedule_key_deletion(KeyId=model["KeyId"], PendingWindowInDays=days)

    def _rotate(self, aws: Any, model: Model) -> None:
        if truth(model.get("EnableKeyRotation")):
            aws.kms.enable_key_rotation(KeyId=model["KeyId"])
        else:
            aws.kms.disable_key_rotation(KeyId=model["KeyId"])


class Alias(StrictProvider):
    """A key's name."""

    type_name = "AWS::KMS::Alias"
    identifier = "AliasName"
    properties = frozenset({"AliasName", "TargetKeyId"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        aws.kms.create_alias(**pick(model, "AliasName", "TargetKeyId"))

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        aws.kms.update_alias(**pick(model, "AliasName", "TargetKeyId"))

    def remove(self, aws: Any, model: Model) -> None:
        aws.kms.delete_alias(AliasName=model["AliasName"])
