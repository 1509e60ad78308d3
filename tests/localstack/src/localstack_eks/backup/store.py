"""What AWS Backup remembers, per account and region."""

from dataclasses import dataclass, field
from typing import Any

from localstack.aws.api import RequestContext
from localstack.services.stores import AccountRegionBundle, BaseStore, LocalAttribute

Document = dict[str, Any]


@dataclass
class Vault:
    """A vault with its tags."""

    document: Document
    tags: dict[str, str]


@dataclass
class Plan:
    """A plan with its tags, and what it backs up."""

    document: Document
    tags: dict[str, str]
    selections: dict[str, Document] = field(default_factory=dict)


class BackupStore(BaseStore):
    """The vaults and plans of one account in one region."""

    vaults: dict[str, Vault] = LocalAttribute(default=dict)
    plans: dict[str, Plan] = LocalAttribute(default=dict)


stores = AccountRegionBundle("backup", BackupStore)


def store(context: RequestContext) -> BackupStore:
    """Give what the caller has."""
    return stores[context.account_id][context.region]


def arn(context: RequestContext, kind: str, name: str) -> str:
    """Name something in full."""
    return f"arn:aws:backup:{context.region}:{context.account_id}:{kind}:{name}"
