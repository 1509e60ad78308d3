"""The resource types of the stacks."""

from localstack_eks.resources import (
    addresses,
    backups,
    buckets,
    clusters,
    identity,
    images,
    keys,
    logs,
    network,
    routes,
)

__all__ = [
    "addresses",
    "backups",
    "buckets",
    "clusters",
    "identity",
    "images",
    "keys",
    "logs",
    "network",
    "routes",
]
