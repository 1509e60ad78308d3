"""CloudFormation that makes what it says it has made.

LocalStack's own engine, with what would otherwise be a false green made to fail (`engine`), and
with what failed undone (`rollback`).
"""

from datetime import UTC, datetime
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext, handler
from localstack.aws.api.cloudformation import StackStatus
from localstack.services.cloudformation import api_utils
from localstack.services.cloudformation.engine import template_preparer
from localstack.services.cloudformation.stores import get_cloudformation_store
from localstack.services.cloudformation.v2 import provider as stock
from localstack.services.plugins import Service, aws_provider

from localstack_eks.cloudformation import roles
from localstack_eks.cloudformation.drift import Drift
from localstack_eks.cloudformation.engine import load_provider
from localstack_eks.cloudformation.rollback import RollingBackExecutor

NOTHING_IN_IT = (StackStatus.DELETE_COMPLETE, StackStatus.ROLLBACK_COMPLETE)


def invalid(message: str) -> CommonServiceException:
    """Make the error that CloudFormation has for most things."""
    return CommonServiceException("ValidationError", message, sender_fault=True)


class StrictCloudFormation(stock.CloudformationProviderV2):
    """LocalStack's CloudFormation, held to what it promises."""

    def __init__(self) -> None:
        """Start with no drift detected."""
        super().__init__()
        self.drifts: dict[str, Drift] = {}
        """By the id of the detection, and the last one by the id of its stack."""

    @handler("CreateChangeSet", expand=False)
    def create_change_set(self, context: RequestContext, request: Any) -> Any:
        """Refuse a template with a type that nothing here can make, before anything changes."""
        body = api_utils.extract_template_body(request)
        resources = (template_preparer.parse_template(body) or {}).get("Resources") or {}
        types = {resource["Type"] for resource in resources.values()}
        unknown = sorted(name for name in types if load_provider(name) is None)
        if unknown:
            listed = ", ".join(unknown)
            raise invalid(f"Template format error: Unrecognized resource types: [{listed}]")
        role = request.get("RoleARN")
        if role and not roles.is_of_cloudformation(context, role):
            raise invalid(f"Role {role} is invalid or cannot be assumed")
        stack = self._find(context, request["StackName"])
        before = stack.status if stack else None
        answer = super().create_change_set(context, request)
        if role:
            self._find(context, request["StackName"]).role_arn = role
        if stack and before == StackStatus.UPDATE_ROLLBACK_COMPLETE:
            # LocalStack takes a stack that was rolled back for one that does not exist yet.
            stack.status = before
        return answer

    @handler("DeleteStack")
    def delete_stack(
        self, context: RequestContext, stack_name: str, *args: Any, **kwargs: Any
    ) -> None:
        """Delete a stack unless it is protected."""
        stack = self._find(context, stack_name)
        if stack and stack.enable_termination_protection:
            raise invalid(
                f"Stack [{stack.stack_name}] cannot be deleted "
                "while TerminationProtection is enabled"
            )
        if stack and stack.status == StackStatus.ROLLBACK_COMPLETE:
            # There is nothing left in it.
            stack.set_stack_status(StackStatus.DELETE_COMPLETE)
            stack.deletion_time = datetime.now(UTC)
            return
        super().delete_stack(context, stack_name, *args, **kwargs)

    @handler("DetectStackDrift", expand=False)
    def detect_stack_drift(self, context: RequestContext, request: Any) -> Any:
        """Look for drift; it is found before the answer."""
        name = request["StackName"]
        stack = self._find(context, name)
        if stack is None:
            raise invalid(f"Stack [{name}] does not exist")
        if not stack.status.endswith("_COMPLETE") or stack.status in NOTHING_IN_IT:
            raise invalid(f"Drift detection is not allowed on a stack that is {stack.status}")
        drift = Drift(context, stack)
        self.drifts[drift.id] = self.drifts[stack.stack_id] = drift
        return {"StackDriftDetectionId": drift.id}

    @handler("DescribeStackDriftDetectionStatus", expand=False)
    def describe_stack_drift_detection_status(self, context: RequestContext, request: Any) -> Any:  # noqa: ARG002
        """Say how a detection ended."""
        return self._drift(request["StackDriftDetectionId"]).status()

    @handler("DescribeStackResourceDrifts", expand=False)
    def describe_stack_resource_drifts(self, context: RequestContext, request: Any) -> Any:
        """List what the last detection found in a stack."""
        stack = self._find(context, request["StackName"])
        if stack is None:
            raise invalid(f"Stack [{request['StackName']}] does not exist")
        wanted = request.get("StackResourceDriftStatusFilters")
        found = self._drift(stack.stack_id).resources
        listed = [one for one in found if not wanted or one["StackResourceDriftStatus"] in wanted]
        return {"StackResourceDrifts": listed}

    def _drift(self, detection: str) -> Drift:
        if detection not in self.drifts:
            raise invalid(f"There is no drift detection of {detection}")
        return self.drifts[detection]

    def _describe_stack(self, stack: Any) -> Any:
        """Say which role a stack is changed as."""
        described = super()._describe_stack(stack)
        if role := getattr(stack, "role_arn", None):
            described["RoleARN"] = role
        return described

    def _find(self, context: RequestContext, name: str) -> Any:
        store = get_cloudformation_store(context.account_id, context.region)
        return stock.find_stack_v2(store, name)


@aws_provider(api="cloudformation", name="strict")
def service() -> Service:
    """Build the service."""
    stock.ChangeSetModelExecutor = RollingBackExecutor
    return Service.for_provider(StrictCloudFormation())
