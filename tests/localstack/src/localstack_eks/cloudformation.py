"""CloudFormation that makes what it says it has made.

LocalStack's own engine, with what would otherwise be a false green made to fail: a type that it
does not know, an update that it cannot make, the deletion of a protected stack.
"""

from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext, handler
from localstack.services.cloudformation.engine.v2.change_set_model_executor import (
    ChangeSetModelExecutor,
)
from localstack.services.cloudformation.engine.v2.change_set_resource_support_checker import (
    ChangeSetResourceSupportChecker,
)
from localstack.services.cloudformation.resource_provider import (
    OperationStatus,
    ProgressEvent,
    ResourceProvider,
    ResourceProviderExecutor,
    convert_payload,
)
from localstack.services.cloudformation.stores import get_cloudformation_store
from localstack.services.cloudformation.v2.provider import (
    CloudformationProviderV2,
    find_stack_v2,
)
from localstack.services.plugins import Service, aws_provider
from localstack.utils.catalog.common import CloudFormationResourcesSupportAtRuntime as Support
from localstack.utils.patch import patch

from localstack_eks import resources  # noqa: F401  (registers its providers)
from localstack_eks.provider import PROVIDERS

_load = ResourceProviderExecutor.try_load_resource_provider


def load_provider(resource_type: str) -> ResourceProvider | None:
    """Find what makes resources of a type: this package's providers first."""
    provider = PROVIDERS.get(resource_type)
    return provider() if provider else _load(resource_type)


ResourceProviderExecutor.try_load_resource_provider = staticmethod(load_provider)


@patch(ChangeSetResourceSupportChecker._resource_support_status)  # noqa: SLF001
def _support(_fn: Any, _self: Any, resource_type: str) -> Support:
    """Say what is supported by what is loaded; LocalStack asks a catalogue on the internet."""
    known = load_provider(resource_type) is not None
    return Support.AVAILABLE if known else Support.NOT_IMPLEMENTED


@patch(ChangeSetModelExecutor.create_resource_provider_payload)
def _payload(fn: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    """Pass the stack's tags on to its resources, as CloudFormation does."""
    payload = fn(self, *args, **kwargs)
    stack_tags = {tag["Key"]: tag["Value"] for tag in self._change_set.stack.tags or []}
    payload["callbackContext"] = {"stack_tags": stack_tags}
    return payload


@patch(ResourceProviderExecutor.execute_action)
def _action(fn: Any, self: Any, provider: ResourceProvider, payload: Any) -> ProgressEvent:
    """Let a failed update fail; LocalStack takes some failures for success."""
    if payload["action"] not in ("Modify", "Dynamic"):
        return fn(self, provider, payload)
    request = convert_payload(self.stack_name, self.stack_id, payload)
    try:
        return provider.update(request)
    except NotImplementedError as error:
        reason = str(error) or f"LocalStack cannot change {request.resource_type}"
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the reason)
        reason = str(error)
    return ProgressEvent(OperationStatus.FAILED, resource_model={}, message=reason)


class StrictCloudFormation(CloudformationProviderV2):
    """LocalStack's CloudFormation, with protection from deletion that protects."""

    @handler("DeleteStack")
    def delete_stack(
        self, context: RequestContext, stack_name: str, *args: Any, **kwargs: Any
    ) -> None:
        """Delete a stack unless it is protected."""
        store = get_cloudformation_store(context.account_id, context.region)
        stack = find_stack_v2(store, stack_name)
        if stack and stack.enable_termination_protection:
            raise CommonServiceException(
                "ValidationError",
                f"Stack [{stack.stack_name}] cannot be deleted "
                "while TerminationProtection is enabled",
                sender_fault=True,
            )
        super().delete_stack(context, stack_name, *args, **kwargs)


@aws_provider(api="cloudformation", name="strict")
def service() -> Service:
    """Build the service."""
    return Service.for_provider(StrictCloudFormation())
