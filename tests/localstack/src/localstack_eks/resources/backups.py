"""Vaults, plans and selections of AWS Backup."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, StrictProvider, call, pick


def tags(model: Model, key: str, request: ResourceRequest) -> dict[str, str]:
    """Give the tags of a resource that has them as a map: its stack's and its own."""
    return {**request.custom_context.get("stack_tags", {}), **(model.get(key) or {})}


def retag(aws: Any, arn: str, wanted: dict[str, str], before: dict[str, str]) -> None:
    """Make a resource's tags what they should be."""
    if removed := sorted(before.keys() - wanted.keys()):
        aws.backup.untag_resource(ResourceArn=arn, TagKeyList=removed)
    aws.backup.tag_resource(ResourceArn=arn, Tags=wanted)


class Vault(StrictProvider):
    """A vault."""

    type_name = "AWS::Backup::BackupVault"
    identifier = "BackupVaultName"
    properties = frozenset({"BackupVaultName", "BackupVaultTags", "EncryptionKeyArn"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        made = aws.backup.create_backup_vault(
            **pick(model, "BackupVaultName", "EncryptionKeyArn"),
            BackupVaultTags=tags(model, "BackupVaultTags", request),
        )
        model["BackupVaultArn"] = made["BackupVaultArn"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        wanted = tags(model, "BackupVaultTags", request)
        retag(aws, model["BackupVaultArn"], wanted, before.get("BackupVaultTags") or {})

    def remove(self, aws: Any, model: Model) -> None:
        aws.backup.delete_backup_vault(**pick(model, "BackupVaultName"))


class Plan(StrictProvider):
    """A plan."""

    type_name = "AWS::Backup::BackupPlan"
    identifier = "BackupPlanId"
    properties = frozenset({"BackupPlan", "BackupPlanTags"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        made = call(
            aws.backup,
            "create_backup_plan",
            BackupPlan=self._plan(model),
            BackupPlanTags=tags(model, "BackupPlanTags", request),
        )
        model.update(pick(made, "BackupPlanArn", "BackupPlanId", "VersionId"))

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        made = call(
            aws.backup,
            "update_backup_plan",
            **pick(model, "BackupPlanId"),
            BackupPlan=self._plan(model),
        )
        model["VersionId"] = made["VersionId"]
        wanted = tags(model, "BackupPlanTags", request)
        retag(aws, model["BackupPlanArn"], wanted, before.get("BackupPlanTags") or {})

    def remove(self, aws: Any, model: Model) -> None:
        aws.backup.delete_backup_plan(**pick(model, "BackupPlanId"))

    def _plan(self, model: Model) -> Model:
        """Spell a plan as the service does."""
        plan = dict(model["BackupPlan"])
        rules = [dict(rule) for rule in plan.pop("BackupPlanRule")]
        for rule in rules:
            rule["TargetBackupVaultName"] = rule.pop("TargetBackupVault")
        return plan | {"Rules": rules}


class Selection(StrictProvider):
    """What a plan backs up."""

    type_name = "AWS::Backup::BackupSelection"
    identifier = "Id"
    properties = frozenset({"BackupPlanId", "BackupSelection"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        made = call(
            aws.backup,
            "create_backup_selection",
            **pick(model, "BackupPlanId", "BackupSelection"),
        )
        model["SelectionId"] = made["SelectionId"]
        model["Id"] = f"{made['SelectionId']}_{model['BackupPlanId']}"

    def remove(self, aws: Any, model: Model) -> None:
        aws.backup.delete_backup_selection(**pick(model, "BackupPlanId", "SelectionId"))
