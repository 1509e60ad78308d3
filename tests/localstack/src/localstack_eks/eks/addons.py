"""Add-ons: records of what was asked for, with nothing installed in a cluster."""

import json

from localstack.aws.api import RequestContext

from localstack_eks.eks import identities, versions
from localstack_eks.eks.store import Document, Record, arn, find, identifier, note
from localstack_eks.serve import error, now

ON_NODES = {"aws-ebs-csi-driver", "coredns"}
"""Those whose pods wait for a node; the others have one pod on each, be there none."""

WAITING = {
    "code": "InsufficientNumberOfReplicas",
    "message": "The add-on is unhealthy because it doesn't have the desired number of replicas.",
}

NAMESPACE = "kube-system"


def _addon(context: RequestContext, request: Document) -> Document:
    name = request["addonName"]
    addon = find(context, request["clusterName"]).addons.get(name)
    if addon is None:
        message = f"No addon: {name} found in cluster: {request['clusterName']}"
        raise error("ResourceNotFoundException", message, 404)
    return addon


def create(context: RequestContext, request: Document) -> Document:
    """Install an add-on."""
    record, name = find(context, request["clusterName"]), request["addonName"]
    if not versions.fitting(name, record.cluster["version"]):
        message = f"Addon {name} specified is not supported in {record.cluster['version']}"
        raise error("InvalidParameterException", message)
    if name in record.addons:
        raise error("ResourceInUseException", "Addon already exists.", 409)
    waiting = name in ON_NODES and not record.node_groups
    issues = [WAITING] if waiting else []
    default = versions.fitting(name, record.cluster["version"])[0]
    addon = {
        "addonName": name,
        "addonArn": arn(context, "addon", record.name, name, identifier()),
        "addonVersion": request.get("addonVersion") or default,
        "clusterName": record.name,
        "configurationValues": _configuration(request),
        "createdAt": now(),
        "health": {"issues": issues},
        "modifiedAt": now(),
        "podIdentityAssociations": [],
        "status": "DEGRADED" if waiting else "ACTIVE",
        "tags": request.get("tags") or {},
    }
    record.addons[name] = addon
    try:
        _identify(context, record, addon, request)
    except Exception:
        del record.addons[name]
        raise
    return {"addon": addon}


def _configuration(request: Document) -> str:
    """Check the values: JSON, which EKS compares with the add-on's own schema."""
    text = request.get("configurationValues") or ""
    try:
        json.loads(text or "{}")
    except ValueError as wrong:
        message = "ConfigurationValue is not in valid JSON or YAML format"
        raise error("InvalidParameterException", message) from wrong
    return text


def _identify(context: RequestContext, record: Record, addon: Document, request: Document) -> None:
    """Give the add-on's service accounts their roles, and take away those that it had."""
    wanted = request.get("podIdentityAssociations")
    if wanted is None:
        return
    _forget(record, addon)
    for one in wanted:
        place = {"clusterName": record.name, "namespace": NAMESPACE}
        made = identities.create(context, one | place)["association"]
        made["ownerArn"] = addon["addonArn"]
        addon["podIdentityAssociations"].append(made["associationArn"])


def _forget(record: Record, addon: Document) -> None:
    for name, one in list(record.identities.items()):
        if one.get("ownerArn") == addon["addonArn"]:
            del record.identities[name]
    addon["podIdentityAssociations"] = []


def describe(context: RequestContext, request: Document) -> Document:
    """Show an add-on."""
    return {"addon": _addon(context, request)}


def list_all(context: RequestContext, request: Document) -> Document:
    """List the add-ons of a cluster."""
    return {"addons": sorted(find(context, request["clusterName"]).addons)}


def update(context: RequestContext, request: Document) -> Document:
    """Change an add-on's version, configuration and identities."""
    record, addon = find(context, request["clusterName"]), _addon(context, request)
    if request.get("configurationValues") is not None:
        addon["configurationValues"] = _configuration(request)
    if request.get("addonVersion"):
        addon["addonVersion"] = request["addonVersion"]
    _identify(context, record, addon, request)
    addon["modifiedAt"] = now()
    return note(record, "AddonUpdate", {"AddonVersion": addon["addonVersion"]})


def delete(context: RequestContext, request: Document) -> Document:
    """Remove an add-on and its identities."""
    record, addon = find(context, request["clusterName"]), _addon(context, request)
    _forget(record, addon)
    del record.addons[addon["addonName"]]
    return {"addon": addon | {"status": "DELETING"}}
