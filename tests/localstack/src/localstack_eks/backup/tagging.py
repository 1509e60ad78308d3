"""Tags of vaults and plans."""

from localstack.aws.api import RequestContext

from localstack_eks.backup.store import Document, store
from localstack_eks.serve import error


def _tags(context: RequestContext, arn: str) -> dict[str, str]:
    held = store(context)
    for vault in held.vaults.values():
        if vault.document["BackupVaultArn"] == arn:
            return vault.tags
    for plan in held.plans.values():
        if plan.document["BackupPlanArn"] == arn:
            return plan.tags
    raise error("ResourceNotFoundException", f"The specified resource does not exist: {arn}")


def list_tags(context: RequestContext, request: Document) -> Document:
    """List the tags of something."""
    return {"Tags": _tags(context, request["ResourceArn"])}


def tag(context: RequestContext, request: Document) -> Document:
    """Add or change tags."""
    _tags(context, request["ResourceArn"]).update(request["Tags"])
    return {}


def untag(context: RequestContext, request: Document) -> Document:
    """Remove tags."""
    tags = _tags(context, request["ResourceArn"])
    for key in request["TagKeyList"]:
        tags.pop(key, None)
    return {}
