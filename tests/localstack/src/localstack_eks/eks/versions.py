"""Which Kubernetes minors there are, which versions of add-ons fit them, and until when.

A minor comes every four months, has standard support for fourteen and extended support for twelve
more, as EKS promises; the newest came a month ago, whenever now is.
"""

from datetime import timedelta
from typing import Any

from localstack.aws.api import RequestContext

from localstack_eks.eks.store import Document
from localstack_eks.serve import error, now

MINORS = ("1.36", "1.35", "1.34", "1.33", "1.32", "1.31", "1.30", "1.29")
"""The newest first."""

DEFAULT = "1.35"
"""What a cluster gets that asks for no version."""

NEWEST = timedelta(days=30)
BETWEEN = timedelta(days=122)
STANDARD = timedelta(days=426)
EXTENDED = timedelta(days=365)

EVERY = frozenset(MINORS)
VERSIONS: dict[str, dict[str, frozenset[str]]] = {
    "aws-ebs-csi-driver": {"v1.50.1-eksbuild.1": EVERY, "v1.48.0-eksbuild.1": EVERY},
    "coredns": {
        "v1.13.1-eksbuild.1": frozenset(MINORS[:4]),
        "v1.12.1-eksbuild.2": frozenset(MINORS[2:]),
    },
    "eks-pod-identity-agent": {"v1.3.9-eksbuild.1": EVERY},
    "kube-proxy": {f"v{minor}.0-eksbuild.1": frozenset({minor}) for minor in MINORS},
    "vpc-cni": {"v1.20.4-eksbuild.1": EVERY, "v1.19.2-eksbuild.5": frozenset(MINORS[3:])},
}
"""The versions of each add-on, the newest first, with the minors that they fit."""


def fitting(name: str, minor: str) -> list[str]:
    """Give the versions of an add-on that fit a minor; the first one is the default."""
    versions = VERSIONS.get(name, {}).items()
    return [version for version, fits in versions if minor in fits]


def after(minor: str) -> str:
    """Give the next minor."""
    return f"1.{int(minor.split('.')[1]) + 1}"


def describe_addons(context: RequestContext, request: Document) -> Document:  # noqa: ARG001
    """Show the versions of add-ons."""
    name, minor = request.get("addonName"), request.get("kubernetesVersion")
    if name and name not in VERSIONS:
        message = f"Addon {name} specified is not supported"
        raise error("ResourceNotFoundException", message, 404)
    addons = []
    for addon in [name] if name else sorted(VERSIONS):
        versions = [
            _version(addon, version, fits)
            for version, fits in VERSIONS[addon].items()
            if minor is None or minor in fits
        ]
        if versions:
            about = {"type": "networking", "owner": "aws", "publisher": "eks"}
            addons.append({"addonName": addon, "addonVersions": versions} | about)
    return {"addons": addons}


def _version(addon: str, version: str, fits: frozenset[str]) -> Document:
    compatibilities = [
        {
            "clusterVersion": minor,
            "platformVersions": ["*"],
            "defaultVersion": fitting(addon, minor)[0] == version,
        }
        for minor in MINORS
        if minor in fits
    ]
    return {
        "addonVersion": version,
        "architecture": ["amd64", "arm64"],
        "computeTypes": ["ec2"],
        "compatibilities": compatibilities,
        "requiresConfiguration": False,
        "requiresIamPermissions": False,
    }


def describe_clusters(context: RequestContext, request: Document) -> Document:  # noqa: ARG001
    """Show the minors, those without support only when everything is asked for."""
    wanted = request.get("clusterVersions")
    found = [_minor(index, minor) for index, minor in enumerate(MINORS)]
    if not request.get("includeAll"):
        found = [one for one in found if one["versionStatus"] != "UNSUPPORTED"]
    return {
        "clusterVersions": [one for one in found if not wanted or one["clusterVersion"] in wanted]
    }


def _minor(index: int, minor: str) -> dict[str, Any]:
    released = now() - NEWEST - index * BETWEEN
    standard = released + STANDARD
    extended = standard + EXTENDED
    if now() < standard:
        status = "STANDARD_SUPPORT"
    else:
        status = "EXTENDED_SUPPORT" if now() < extended else "UNSUPPORTED"
    return {
        "clusterVersion": minor,
        "clusterType": "eks",
        "defaultPlatformVersion": "eks.1",
        "defaultVersion": minor == DEFAULT,
        "releaseDate": released,
        "endOfStandardSupportDate": standard,
        "endOfExtendedSupportDate": extended,
        "status": status.lower().replace("_", "-"),
        "versionStatus": status,
        "kubernetesPatchVersion": f"{minor}.0",
    }
