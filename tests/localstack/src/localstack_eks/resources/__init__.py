"""The resource types of the stacks."""

from localstack_eks.resources import addresses, clusters, identity, keys, logs, network, routes

__all__ = ["addresses", "clusters", "identity", "keys", "logs", "network", "routes"]
