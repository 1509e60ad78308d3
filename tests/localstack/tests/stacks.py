"""Deploys stacks by change set, as the action does."""

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parents[3] / "actions" / "provision-infra" / "stacks"
DEADLINE_SECONDS = 120
_numbers = itertools.count()


def template(name: str) -> str:
    """Read a layer's template."""
    return (TEMPLATES / f"{name}.yaml").read_text()


@dataclass
class Result:
    """What became of a stack."""

    status: str
    changes: list[dict[str, Any]]
    outputs: dict[str, str]
    reasons: list[str]


@dataclass
class Stacks:
    """The stacks of the account."""

    client: Any
    tags: dict[str, str] = field(default_factory=lambda: {"Project": "orders"})
    role: str | None = None
    """What CloudFormation acts as."""

    def propose(self, name: str, body: str, **parameters: str) -> dict[str, Any]:
        """Make a change set and wait until it says what it would do, or why not."""
        made = self.client.create_change_set(
            StackName=name,
            ChangeSetName=f"change-{next(_numbers)}",
            ChangeSetType="UPDATE" if self.exists(name) else "CREATE",
            TemplateBody=body,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": key, "Value": value} for key, value in self.tags.items()],
            **({"RoleARN": self.role} if self.role else {}),
        )
        return self._until(
            lambda: self.client.describe_change_set(ChangeSetName=made["Id"]),
            lambda found: found["Status"] in ("CREATE_COMPLETE", "FAILED"),
        )

    def deploy(self, name: str, body: str, **parameters: str) -> Result:
        """Make and execute a change set."""
        change_set = self.propose(name, body, **parameters)
        assert change_set["Status"] == "CREATE_COMPLETE", change_set.get("StatusReason")
        self.client.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
        stack = self._settled(name)
        events = self.client.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
        return Result(
            status=stack["StackStatus"],
            changes=[change["ResourceChange"] for change in change_set["Changes"]],
            outputs={out["OutputKey"]: out["OutputValue"] for out in stack.get("Outputs", [])},
            reasons=[
                event.get("ResourceStatusReason", "")
                for event in events
                if event["ResourceStatus"].endswith("_FAILED")
            ],
        )

    def delete(self, name: str) -> str:
        """Delete a stack; give its last status."""
        stack = self.client.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        self.client.delete_stack(StackName=stack)
        return self._settled(stack)["StackStatus"]

    def exists(self, name: str) -> bool:
        """Say whether there is such a stack."""
        pages = self.client.get_paginator("describe_stacks").paginate()
        stacks = [stack for page in pages for stack in page["Stacks"] if stack["StackName"] == name]
        # LocalStack lists those that are gone as well.
        return any(stack["StackStatus"] != "DELETE_COMPLETE" for stack in stacks)

    def resources(self, name: str) -> dict[str, dict[str, Any]]:
        """List a stack's resources by logical id."""
        pages = self.client.get_paginator("list_stack_resources").paginate(StackName=name)
        found = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {resource["LogicalResourceId"]: resource for resource in found}

    def _settled(self, name: str) -> dict[str, Any]:
        return self._until(
            lambda: self.client.describe_stacks(StackName=name)["Stacks"][0],
            lambda stack: not stack["StackStatus"].endswith("_IN_PROGRESS"),
        )

    def _until(self, look: Any, holds: Any) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds(found := look()):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        return found
