"""What EKS finds out before an upgrade: here from the records of add-ons and node groups alone."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from localstack.aws.api import RequestContext

from localstack_eks.eks import versions
from localstack_eks.eks.node_groups import MINORS_BEHIND
from localstack_eks.eks.store import Document, Record, find
from localstack_eks.serve import error, now


class Problem(NamedTuple):
    """What an upgrade would not leave working."""

    status: str
    arn: str
    reason: str


class Question(NamedTuple):
    """What is looked at."""

    name: str
    description: str
    recommendation: str
    ask: Callable[[Record, str], Iterator[Problem]]


def _addons(record: Record, target: str) -> Iterator[Problem]:
    for name, addon in sorted(record.addons.items()):
        if name != "kube-proxy" and addon["addonVersion"] not in versions.fitting(name, target):
            reason = f"{name} {addon['addonVersion']} does not fit {target}"
            yield Problem("ERROR", addon["addonArn"], reason)


def _nodes(record: Record, target: str) -> Iterator[Problem]:
    for name, group in sorted(record.node_groups.items()):
        behind = int(target.split(".")[1]) - int(group["version"].split(".")[1])
        status = "ERROR" if behind > MINORS_BEHIND else "WARNING"
        if behind > 1:
            reason = f"nodes of {name} have {group['version']}"
            yield Problem(status, group["nodegroupArn"], reason)


QUESTIONS = {
    "00000000-0000-4000-8000-000000000001": Question(
        "EKS add-on version compatibility",
        "Checks version of installed EKS add-ons against the next Kubernetes version.",
        "Upgrade the add-ons to versions that fit before upgrading the cluster.",
        _addons,
    ),
    "00000000-0000-4000-8000-000000000002": Question(
        "Kubelet version skew",
        "Checks the versions of nodes against the next Kubernetes version.",
        "Upgrade the nodes to the version of the cluster before upgrading the cluster.",
        _nodes,
    ),
}
CATEGORY = "UPGRADE_READINESS"


def _insight(record: Record, unique: str) -> tuple[Document, list[Problem]]:
    question, target = QUESTIONS[unique], versions.after(record.cluster["version"])
    problems = list(question.ask(record, target))
    statuses = [problem.status for problem in problems]
    status = next((one for one in ("ERROR", "WARNING") if one in statuses), "PASSING")
    reason = "; ".join(problem.reason for problem in problems) or "Nothing was found."
    insight = {
        "id": unique,
        "name": question.name,
        "category": CATEGORY,
        "kubernetesVersion": target,
        "lastRefreshTime": now(),
        "lastTransitionTime": record.cluster["createdAt"],
        "description": question.description,
        "insightStatus": {"status": status, "reason": reason},
    }
    return insight, problems


def list_all(context: RequestContext, request: Document) -> Document:
    """List the insights of a cluster."""
    record, wanted = find(context, request["clusterName"]), request.get("filter") or {}
    if CATEGORY not in (wanted.get("categories") or [CATEGORY]):
        return {"insights": []}
    found = [_insight(record, unique)[0] for unique in QUESTIONS]
    statuses = wanted.get("statuses")
    return {
        "insights": [
            one for one in found if not statuses or one["insightStatus"]["status"] in statuses
        ]
    }


def describe(context: RequestContext, request: Document) -> Document:
    """Show an insight, with what it was found in."""
    record, unique = find(context, request["clusterName"]), request["id"]
    if unique not in QUESTIONS:
        message = f"No insight found for id: {unique}"
        raise error("ResourceNotFoundException", message, 404)
    insight, problems = _insight(record, unique)
    resources = [
        {
            "arn": problem.arn,
            "insightStatus": {"status": problem.status, "reason": problem.reason},
        }
        for problem in problems
    ]
    more = {"recommendation": QUESTIONS[unique].recommendation, "resources": resources}
    return {"insight": insight | more}
