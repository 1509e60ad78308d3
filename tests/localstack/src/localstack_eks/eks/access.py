"""Access entries and the policies that they are associated with."""

from localstack.aws.api import RequestContext

from localstack_eks.eks.store import Document, Entry, arn, find, identifier
from localstack_eks.serve import error, now


def _entry(context: RequestContext, request: Document) -> Entry:
    principal = request["principalArn"]
    entry = find(context, request["clusterName"]).entries.get(principal)
    if entry is None:
        message = f"The specified principalArn could not be found: {principal}"
        raise error("ResourceNotFoundException", message, 404)
    return entry


def _username(principal: str) -> str:
    """Name who assumes a role, as EKS does; a user goes by its ARN."""
    if ":role/" not in principal:
        return principal
    session = principal.replace(":iam::", ":sts::").replace(":role/", ":assumed-role/")
    return session + "/{{SessionName}}"


def create(context: RequestContext, request: Document) -> Document:
    """Let somebody in."""
    record = find(context, request["clusterName"])
    principal = request["principalArn"]
    if record.cluster["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        message = "The cluster's authentication mode must be set to API or API_AND_CONFIG_MAP"
        raise error("InvalidRequestException", message)
    if principal in record.entries:
        message = "The specified access entry resource is already in use on this cluster."
        raise error("ResourceInUseException", message, 409)
    name = principal.split(":", 5)[5]
    document = {
        "clusterName": request["clusterName"],
        "principalArn": principal,
        "kubernetesGroups": request.get("kubernetesGroups") or [],
        "accessEntryArn": arn(context, "access-entry", request["clusterName"], name, identifier()),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": request.get("tags") or {},
        "username": request.get("username") or _username(principal),
        "type": request.get("type") or "STANDARD",
    }
    record.entries[principal] = Entry(document)
    return {"accessEntry": document}


def admit_nodes(context: RequestContext, cluster: str, role: str) -> None:
    """Let nodes in by their role, as EKS does for those of its node groups; the entry stays."""
    record = find(context, cluster)
    by_entries = record.cluster["accessConfig"]["authenticationMode"] != "CONFIG_MAP"
    if by_entries and role not in record.entries:
        create(context, {"clusterName": cluster, "principalArn": role, "type": "EC2_LINUX"})


def describe(context: RequestContext, request: Document) -> Document:
    """Show an entry."""
    return {"accessEntry": _entry(context, request).document}


def list_all(context: RequestContext, request: Document) -> Document:
    """List who may enter."""
    return {"accessEntries": sorted(find(context, request["clusterName"]).entries)}


def update(context: RequestContext, request: Document) -> Document:
    """Change an entry's groups or name."""
    document = _entry(context, request).document
    for key in ("kubernetesGroups", "username"):
        if request.get(key) is not None:
            document[key] = request[key]
    document["modifiedAt"] = now()
    return {"accessEntry": document}


def delete(context: RequestContext, request: Document) -> Document:
    """Shut somebody out."""
    _entry(context, request)
    del find(context, request["clusterName"]).entries[request["principalArn"]]
    return {}


def associate_policy(context: RequestContext, request: Document) -> Document:
    """Say what somebody may do."""
    entry = _entry(context, request)
    policy = {
        "policyArn": request["policyArn"],
        "accessScope": {"namespaces": []} | request["accessScope"],
        "associatedAt": now(),
        "modifiedAt": now(),
    }
    entry.policies[request["policyArn"]] = policy
    return {
        "clusterName": request["clusterName"],
        "principalArn": request["principalArn"],
        "associatedAccessPolicy": policy,
    }


def disassociate_policy(context: RequestContext, request: Document) -> Document:
    """Take a policy back."""
    if _entry(context, request).policies.pop(request["policyArn"], None) is None:
        message = "The specified policyArn is not associated with the access entry"
        raise error("ResourceNotFoundException", message, 404)
    return {}


def list_policies(context: RequestContext, request: Document) -> Document:
    """List what somebody may do."""
    return {
        "clusterName": request["clusterName"],
        "principalArn": request["principalArn"],
        "associatedAccessPolicies": list(_entry(context, request).policies.values()),
    }
