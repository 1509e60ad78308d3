"""The resource types of the stacks."""

from localstack_eks.resources import (
    addresses,
    alarms,
    alerts,
    backups,
    buckets,
    clusters,
    events,
    identity,
    images,
    keys,
    logs,
    network,
    routes,
)

__all__ = [
    "addresses",
    "alarms",
    "alerts",
    "backups",
    "buckets",
    "clusters",
    "events",
    "identity",
    "images",
    "keys",
    "logs",
    "network",
    "routes",
]
