"""Tags of clusters and of what belongs to them."""

from localstack.aws.api import RequestContext

from localstack_eks.eks.store import Document, clusters
from localstack_eks.serve import error


def _tags(context: RequestContext, arn: str) -> dict[str, str]:
    for record in clusters(context).values():
        if record.cluster["arn"] == arn:
            return record.cluster["tags"]
        for entry in record.entries.values():
            if entry.document["accessEntryArn"] == arn:
                return entry.document["tags"]
        others = (
            (record.addons, "addonArn"),
            (record.identities, "associationArn"),
            (record.node_groups, "nodegroupArn"),
        )
        for documents, key in others:
            for document in documents.values():
                if document[key] == arn:
                    return document["tags"]
    raise error("NotFoundException", f"The specified resource could not be found: {arn}", 404)


def list_tags(context: RequestContext, request: Document) -> Document:
    """List the tags of something."""
    return {"tags": _tags(context, request["resourceArn"])}


def tag(context: RequestContext, request: Document) -> Document:
    """Add or change tags."""
    _tags(context, request["resourceArn"]).update(request["tags"])
    return {}


def untag(context: RequestContext, request: Document) -> Document:
    """Remove tags."""
    tags = _tags(context, request["resourceArn"])
    for key in request["tagKeys"]:
        tags.pop(key, None)
    return {}
