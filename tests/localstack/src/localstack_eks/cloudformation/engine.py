"""Corrections to LocalStack's engine: who makes a resource, and what counts as success."""

import re
from typing import Any

from localstack.services.cloudformation.engine.v2.change_set_model import (
    ChangeSetModel,
    ChangeType,
    NodeParameter,
    Nothing,
    Scope,
    TerminalValue,
    is_nothing,
)
from localstack.services.cloudformation.engine.v2.change_set_model_executor import (
    ChangeSetModelExecutor,
)
from localstack.services.cloudformation.engine.v2.change_set_model_preproc import (
    ChangeSetModelPreproc,
    DeletionPolicy,
    PreprocResource,
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
from localstack.utils.catalog.common import CloudFormationResourcesSupportAtRuntime as Support
from localstack.utils.patch import patch

from localstack_eks import resources  # noqa: F401  (registers its providers)
from localstack_eks.provider import PROVIDERS

UNDEFINED = re.compile(r"Undefined variable name in Fn::Sub string template '(\w+)")

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


@patch(ChangeSetModel._resolve_intrinsic_function_ref)  # noqa: SLF001
def _ref(fn: Any, self: Any, arguments: Any) -> ChangeType:
    """Know that a resource that changes in place keeps its identifier."""
    change = fn(self, arguments)
    if change != ChangeType.MODIFIED or not isinstance(arguments, TerminalValue):
        return change
    name = arguments.value
    if isinstance(self._retrieve_parameter_if_exists(parameter_name=name), NodeParameter):
        return change
    resource = self._retrieve_or_visit_resource(resource_name=name)
    return change if resource.requires_replacement else ChangeType.UNCHANGED


@patch(ChangeSetModel._resolve_intrinsic_function_fn_get_att)  # noqa: SLF001
def _get_att(fn: Any, self: Any, arguments: Any) -> ChangeType:
    """Know that what takes a resource's place has other attributes, and that some move with it."""
    change = fn(self, arguments)
    if change != ChangeType.UNCHANGED:
        return change
    name, attribute = (entity.value for entity in arguments.array)
    resource = self._retrieve_or_visit_resource(resource_name=name)
    provider = PROVIDERS.get(resource.type_.value)
    moved = bool(provider) and attribute in provider.moving
    changed = moved and resource.change_type == ChangeType.MODIFIED
    return ChangeType.MODIFIED if resource.requires_replacement or changed else change


@patch(ChangeSetModel._retrieve_condition_if_exists)  # noqa: SLF001
def _condition(_fn: Any, self: Any, condition_name: str) -> Any:
    """Know conditions apart; LocalStack takes the first one that it meets for all of them."""
    templates = (self._before_template, self._after_template)
    scope, named = self._safe_access_in(Scope(), "Conditions", *templates)
    before, after = ({} if is_nothing(one) else one for one in named)
    if condition_name not in before and condition_name not in after:
        return Nothing
    scope, (before, after) = self._safe_access_in(scope, condition_name, before, after)
    return self._visit_condition(scope, condition_name, before, after)


@patch(ChangeSetModelPreproc._resolve_attribute)  # noqa: SLF001
def _attribute(fn: Any, self: Any, arguments: Any, select_before: bool) -> Any:  # noqa: FBT001
    """Know that a resource whose condition does not hold, before or after, has no attributes."""
    name = arguments.split(".")[0] if isinstance(arguments, str) else arguments[0]
    resource = self._get_node_resource_for(name, self._change_set.update_model.node_template)
    if not is_nothing(resource.condition_reference):
        condition = self._get_node_condition_if_exists(resource.condition_reference.value)
        holds = self._resolve_condition(condition.name)
        if not (holds.before if select_before else holds.after):
            return Nothing
    return fn(self, arguments, select_before)


@patch(ChangeSetModelPreproc.visit_node_intrinsic_function_fn_sub)
def _sub(fn: Any, self: Any, node: Any) -> Any:
    """Know that a text which names a resource has no value while that is not there."""
    try:
        return fn(self, node)
    except RuntimeError as error:
        undefined = UNDEFINED.match(str(error))
        if not undefined:
            raise
        # What the template does not have stays an error.
        self._get_node_resource_for(undefined[1], self._change_set.update_model.node_template)
        for side in ("before", "after"):
            cache = getattr(self, f"_{side}_cache")
            cache[node.scope] = ""
            try:
                delta = fn(self, node)
            except RuntimeError:
                continue
            finally:
                del cache[node.scope]
            setattr(delta, side, Nothing)
            return delta
        raise


@patch(ChangeSetModelPreproc.visit_node_resources)
def _resources(_fn: Any, self: Any, node_resources: Any) -> None:
    """Look at each resource whose condition holds, or held: then it goes."""
    for resource in node_resources.resources:
        if not is_nothing(resource.condition_reference):
            condition = self._resolve_resource_condition_reference(resource.condition_reference)
            if not (condition.before is True or condition.after):
                continue
        self.visit(resource)


@patch(PreprocResource.__init__)
def _resource(fn: Any, self: Any, *args: Any, **kwargs: Any) -> None:
    """Keep what only the failure of its own creation removes; a rollback removes what it made."""
    fn(self, *args, **kwargs)
    if self.deletion_policy == DeletionPolicy.RetainExceptOnCreate:
        self.deletion_policy = DeletionPolicy.Retain
