"""What was changed beside CloudFormation; LocalStack has none of the operations for it."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to

from localstack_eks.cloudformation import live_edge, live_names  # noqa: F401  (register readers)
from localstack_eks.cloudformation.live import READERS, GoneError, read
from localstack_eks.provider import PROVIDERS, Model


class Drift:
    """What was found in one stack."""

    def __init__(self, context: RequestContext, stack: Any) -> None:
        """Look at every resource whose type can be looked at."""
        self.id = str(uuid.uuid4())
        self.stack_id = stack.stack_id
        self.time = datetime.now(UTC)
        aws = connect_to(aws_access_key_id=context.account_id, region_name=context.region)
        tags = {tag["Key"] for tag in stack.tags or []}
        self.resources = [
            self._look(aws, name, resource, tags)
            for name, resource in sorted(stack.resolved_resources.items())
            if resource["Type"] in READERS
        ]

    def drifted(self) -> list[Model]:
        """Give the resources that are not what they should be."""
        return [one for one in self.resources if one["StackResourceDriftStatus"] != "IN_SYNC"]

    def status(self) -> Model:
        """Say how the detection ended."""
        drifted = self.drifted()
        return {
            "StackId": self.stack_id,
            "StackDriftDetectionId": self.id,
            "StackDriftStatus": "DRIFTED" if drifted else "IN_SYNC",
            "DetectionStatus": "DETECTION_COMPLETE",
            "DriftedStackResourceCount": len(drifted),
            "Timestamp": self.time,
        }

    def _look(self, aws: Any, name: str, resource: Model, stack_tags: set[str]) -> Model:
        kind, model = resource["Type"], resource["Properties"]
        told: Model = {
            "StackId": self.stack_id,
            "LogicalResourceId": name,
            "PhysicalResourceId": resource["PhysicalResourceId"],
            "ResourceType": kind,
            "Timestamp": self.time,
        }
        try:
            live = read(aws, kind, model)
        except GoneError:
            return told | {"StackResourceDriftStatus": "DELETED"}
        # Only what the template says is compared: the rest is the service's to choose.
        names = sorted(PROVIDERS[kind].properties & model.keys() & live.keys())
        expected = {one: plain(model[one]) for one in names}
        actual = {one: plain(live[one]) for one in names}
        if "Tags" in actual:
            mine = {tag["Key"] for tag in expected["Tags"]}
            actual["Tags"] = [
                tag for tag in actual["Tags"] if tag["Key"] in mine or tag["Key"] not in stack_tags
            ]
        found = differences(expected, actual)
        return told | {
            "StackResourceDriftStatus": "MODIFIED" if found else "IN_SYNC",
            "ExpectedProperties": json.dumps(expected),
            "ActualProperties": json.dumps(actual),
            "PropertyDifferences": found,
        }


def plain(value: Any) -> Any:
    """Give a value without the types that templates and services differ in."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | set | tuple):
        return sorted((plain(inner) for inner in value), key=json.dumps)
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def differences(expected: Any, actual: Any, path: str = "") -> list[Model]:
    """Say in which properties a resource is not what it should be."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = [
            differences(value, actual.get(name), f"{path}/{name}")
            for name, value in sorted(expected.items())
        ]
        return [one for several in found for one in several]
    if isinstance(expected, list) and isinstance(actual, list):
        gone = [(index, one) for index, one in enumerate(expected) if one not in actual]
        new = [(index, one) for index, one in enumerate(actual) if one not in expected]
        return [
            *(difference("REMOVE", f"{path}/{index}", one, None) for index, one in gone),
            *(difference("ADD", f"{path}/{index}", None, one) for index, one in new),
        ]
    if expected == actual:
        return []
    return [difference("REMOVE" if actual is None else "NOT_EQUAL", path, expected, actual)]


def difference(kind: str, path: str, expected: Any, actual: Any) -> Model:
    """Spell a difference as CloudFormation does."""
    values = {"ExpectedValue": expected, "ActualValue": actual}
    spelt = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
    return {"PropertyPath": path, "DifferenceType": kind, **spelt}
