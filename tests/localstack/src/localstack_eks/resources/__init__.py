"""The resource types of the stacks."""

from localstack_eks.resources import (
    addons,
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
    node_groups,
    routes,
)

__all__ = [
    "addons",
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
    "node_groups",
    "routes",
]
