"""What EKS remembers, per account and region."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from localstack.aws.api import RequestContext
from localstack.services.stores import AccountRegionBundle, BaseStore, LocalAttribute

from localstack_eks.serve import error, now

Document = dict[str, Any]


@dataclass
class Entry:
    """Who may enter, and the policies that say what for."""

    document: Document
    policies: dict[str, Document] = field(default_factory=dict)


@dataclass
class Record:
    """A cluster and what belongs to it."""

    cluster: Document
    addons: dict[str, Document] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    identities: dict[str, Document] = field(default_factory=dict)
    node_groups: dict[str, Document] = field(default_factory=dict)
    updates: dict[str, Document] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.cluster["name"]


class EksStore(BaseStore):
    """The clusters of one account in one region."""

    clusters: dict[str, Record] = LocalAttribute(default=dict)


stores = AccountRegionBundle("eks", EksStore)


def clusters(context: RequestContext) -> dict[str, Record]:
    """Give the clusters of the caller."""
    return stores[context.account_id][context.region].clusters


def find(context: RequestContext, name: str) -> Record:
    """Find a cluster."""
    record = clusters(context).get(name)
    if record is None:
        raise error("ResourceNotFoundException", f"No cluster found for name: {name}.", 404)
    return record


def arn(context: RequestContext, kind: str, *path: str) -> str:
    """Name something in full."""
    return f"arn:aws:eks:{context.region}:{context.account_id}:{kind}/{'/'.join(path)}"


def identifier() -> str:
    """Make an identifier."""
    return str(uuid.uuid4())


def note(record: Record, kind: str, params: dict[str, str]) -> Document:
    """Remember an update, which is over at once."""
    update = {
        "id": identifier(),
        "status": "Successful",
        "type": kind,
        "params": [{"type": name, "value": value} for name, value in params.items()],
        "createdAt": now(),
        "errors": [],
    }
    record.updates[update["id"]] = update
    return {"update": update}
