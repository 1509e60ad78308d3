"""Pod identities: which role the pods of a service account have."""

import uuid

from localstack.aws.api import RequestContext

from localstack_eks.eks.store import Document, arn, find
from localstack_eks.serve import error, now

SUMMARY = (
    *("associationArn", "associationId", "clusterName", "namespace", "ownerArn"),
    "serviceAccount",
)


def _association(context: RequestContext, request: Document) -> Document:
    identifier = request["associationId"]
    association = find(context, request["clusterName"]).identities.get(identifier)
    if association is None:
        message = f"No pod identity association found for ID: {identifier}"
        raise error("ResourceNotFoundException", message, 404)
    return association


def create(context: RequestContext, request: Document) -> Document:
    """Give a service account's pods a role."""
    record = find(context, request["clusterName"])
    place = (request["namespace"], request["serviceAccount"])
    if place in {(one["namespace"], one["serviceAccount"]) for one in record.identities.values()}:
        message = f"Association already exists for service account {place[1]} in {place[0]}"
        raise error("ResourceInUseException", message, 409)
    identifier = f"a-{uuid.uuid4().hex[:17]}"
    keys = ("clusterName", "namespace", "roleArn", "serviceAccount")
    association = {key: request[key] for key in keys} | {
        "associationArn": arn(
            context, "podidentityassociation", request["clusterName"], identifier
        ),
        "associationId": identifier,
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": request.get("tags") or {},
    }
    record.identities[identifier] = association
    return {"association": association}


def describe(context: RequestContext, request: Document) -> Document:
    """Show an association."""
    return {"association": _association(context, request)}


def list_all(context: RequestContext, request: Document) -> Document:
    """List the associations of a cluster, or of one of its namespaces."""
    found = find(context, request["clusterName"]).identities.values()
    wanted = [one for one in found if request.get("namespace") in (None, one["namespace"])]
    told = [{key: one[key] for key in SUMMARY if key in one} for one in wanted]
    return {"associations": told}


def update(context: RequestContext, request: Document) -> Document:
    """Give other permissions."""
    association = _association(context, request)
    association.update(roleArn=request["roleArn"], modifiedAt=now())
    return {"association": association}


def delete(context: RequestContext, request: Document) -> Document:
    """Take the role away."""
    association = _association(context, request)
    del find(context, request["clusterName"]).identities[association["associationId"]]
    return {"association": association}
