"""Plans, and the selections of what they back up."""

import uuid

from localstack.aws.api import RequestContext

from localstack_eks.backup.store import Document, Plan, arn, store
from localstack_eks.serve import error, now


def _plan(context: RequestContext, request: Document) -> Plan:
    plan = store(context).plans.get(request["BackupPlanId"])
    if plan is None:
        message = "Failed reading Backup plan with provided version"
        raise error("ResourceNotFoundException", message)
    return plan


def _rules(context: RequestContext, wanted: Document) -> Document:
    """Fill in what a plan leaves out; each of its vaults must exist."""
    rules = []
    for rule in wanted["Rules"]:
        if rule["TargetBackupVaultName"] not in store(context).vaults:
            message = f"Backup vault {rule['TargetBackupVaultName']} does not exist"
            raise error("ResourceNotFoundException", message)
        defaults = {"StartWindowMinutes": 480, "CompletionWindowMinutes": 10080}
        rules.append(defaults | {"RuleId": str(uuid.uuid4())} | rule)
    return wanted | {"Rules": rules}


def _summary(document: Document) -> Document:
    keys = ("BackupPlanId", "BackupPlanArn", "CreationDate", "VersionId")
    return {key: document[key] for key in keys}


def create(context: RequestContext, request: Document) -> Document:
    """Make a plan."""
    wanted = request["BackupPlan"]
    names = {
        plan.document["BackupPlan"]["BackupPlanName"] for plan in store(context).plans.values()
    }
    if wanted["BackupPlanName"] in names:
        message = "Backup plan with the same plan document already exists"
        raise error("AlreadyExistsException", message)
    identifier = str(uuid.uuid4())
    document = {
        "BackupPlanId": identifier,
        "BackupPlanArn": arn(context, "backup-plan", identifier),
        "BackupPlan": _rules(context, wanted),
        "CreationDate": now(),
        "VersionId": uuid.uuid4().hex,
    }
    store(context).plans[identifier] = Plan(document, request.get("BackupPlanTags") or {})
    return _summary(document)


def get(context: RequestContext, request: Document) -> Document:
    """Show a plan."""
    return _plan(context, request).document


def list_all(context: RequestContext, request: Document) -> Document:  # noqa: ARG001
    """List the plans."""
    return {
        "BackupPlansList": [
            _summary(plan.document)
            | {"BackupPlanName": plan.document["BackupPlan"]["BackupPlanName"]}
            for plan in store(context).plans.values()
        ]
    }


def update(context: RequestContext, request: Document) -> Document:
    """Give a plan other rules."""
    document = _plan(context, request).document
    document["BackupPlan"] = _rules(context, request["BackupPlan"])
    document["VersionId"] = uuid.uuid4().hex
    return _summary(document)


def delete(context: RequestContext, request: Document) -> Document:
    """Remove a plan that selects nothing any more."""
    plan = _plan(context, request)
    if plan.selections:
        message = "Related backup plan selections must be deleted prior to backup plan deletion"
        raise error("InvalidRequestException", message)
    del store(context).plans[request["BackupPlanId"]]
    return _summary(plan.document) | {"DeletionDate": now()}


def select(context: RequestContext, request: Document) -> Document:
    """Say what a plan backs up."""
    selection = {
        "BackupPlanId": request["BackupPlanId"],
        "SelectionId": str(uuid.uuid4()),
        "CreationDate": now(),
        "BackupSelection": request["BackupSelection"],
    }
    _plan(context, request).selections[selection["SelectionId"]] = selection
    return {key: selection[key] for key in ("BackupPlanId", "SelectionId", "CreationDate")}


def get_selection(context: RequestContext, request: Document) -> Document:
    """Show what a plan backs up."""
    selection = _plan(context, request).selections.get(request["SelectionId"])
    if selection is None:
        message = f"Backup selection {request['SelectionId']} does not exist"
        raise error("ResourceNotFoundException", message)
    return selection


def list_selections(context: RequestContext, request: Document) -> Document:
    """List the selections of a plan."""
    return {
        "BackupSelectionsList": [
            {
                "BackupPlanId": selection["BackupPlanId"],
                "SelectionId": selection["SelectionId"],
                "SelectionName": selection["BackupSelection"]["SelectionName"],
                "CreationDate": selection["CreationDate"],
                "IamRoleArn": selection["BackupSelection"]["IamRoleArn"],
            }
            for selection in _plan(context, request).selections.values()
        ]
    }


def delete_selection(context: RequestContext, request: Document) -> Document:
    """Remove a selection."""
    get_selection(context, request)
    del _plan(context, request).selections[request["SelectionId"]]
    return {}
