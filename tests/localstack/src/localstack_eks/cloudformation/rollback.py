"""What failed is undone: LocalStack only says so.

The executor keeps a journal of what it has done, and walks it backwards when something fails.
"""

import copy
from dataclasses import dataclass
from typing import Any

from localstack.aws.api.cloudformation import ChangeSetType, StackStatus
from localstack.services.cloudformation.engine.v2.change_set_model_executor import (
    ChangeAction,
    ChangeSetModelExecutor,
    ChangeSetModelExecutorResult,
    TriggerRollback,
)
from localstack.services.cloudformation.engine.v2.change_set_model_preproc import (
    PreprocProperties,
)
from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent


@dataclass(frozen=True)
class Done:
    """Something that was done to a resource, and what it was before and is now."""

    action: ChangeAction
    name: str
    kind: str
    before: PreprocProperties | None
    now: PreprocProperties


class RollingBackExecutor(ChangeSetModelExecutor):
    """Executes a change set, or leaves everything as it was."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with an empty journal."""
        super().__init__(*args, **kwargs)
        self.journal: list[Done] = []
        self.refused: list[str] = []

    def execute(self) -> ChangeSetModelExecutorResult:
        """Execute the change set."""
        stack = self._change_set.stack
        if stack.status == StackStatus.DELETE_IN_PROGRESS:
            return self._delete()
        known = copy.deepcopy(stack.resolved_resources)
        try:
            self.process()
        except TriggerRollback as failure:
            return self._roll_back(known, failure.reason or "a resource failed")
        except Exception as failure:  # noqa: BLE001  (whatever it is, it is the reason)
            return self._roll_back(known, str(failure))
        self._clean_up()
        # LocalStack publishes the outputs after the status: who looks in between sees none.
        stack.resolved_outputs = self.outputs
        return ChangeSetModelExecutorResult(self._there(), self.outputs)

    def _there(self) -> dict[str, Any]:
        """Give the resources; LocalStack remembers also what it has looked at and not made."""
        there = self.resources.items()
        return {name: one for name, one in there if "PhysicalResourceId" in one}

    def _delete(self) -> ChangeSetModelExecutorResult:
        result = super().execute()
        if result.failure_message:
            raise RuntimeError(result.failure_message)
        if self.refused:
            raise RuntimeError("; ".join(self.refused))
        return result

    def _clean_up(self) -> None:
        """Remove what the new template no longer has, and what was replaced."""
        states = self._change_set.stack.resource_states
        before = dict(states)
        if self._deferred_actions:
            cleaning = StackStatus.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS
            self._change_set.stack.set_stack_status(cleaning)
        for deferred in reversed(self._deferred_actions):
            deferred.action()
        # LocalStack forgets what has taken the place of something together with that.
        for name in before.keys() & self._there().keys():
            states.setdefault(name, before[name])

    def _execute_resource_action(
        self,
        action: ChangeAction,
        logical_resource_id: str,
        resource_type: str,
        before_properties: PreprocProperties | None,
        after_properties: PreprocProperties | None,
        part_of_replacement: bool = False,  # noqa: FBT001, FBT002  (LocalStack's signature)
    ) -> ProgressEvent:
        event = super()._execute_resource_action(
            action,
            logical_resource_id,
            resource_type,
            before_properties,
            after_properties,
            part_of_replacement,
        )
        if event.status == OperationStatus.SUCCESS:
            now = PreprocProperties(properties=copy.deepcopy(event.resource_model or {}))
            self.journal.append(
                Done(action, logical_resource_id, resource_type, before_properties, now)
            )
        elif action == ChangeAction.Remove:
            self.refused.append(f"{logical_resource_id}: {event.message}")
        return event

    def _roll_back(self, known: dict[str, Any], reason: str) -> ChangeSetModelExecutorResult:
        change_set = self._change_set
        stack = change_set.stack
        creation = change_set.change_set_type == ChangeSetType.CREATE
        stack.set_stack_status(
            StackStatus.ROLLBACK_IN_PROGRESS
            if creation
            else StackStatus.UPDATE_ROLLBACK_IN_PROGRESS,
            reason,
        )
        results = [self._undo(done) for done in reversed(self.journal)]
        undone = all(results)
        if not creation:
            for name in self.resources.keys() - known.keys():
                stack.resource_states.pop(name, None)
            # What is remembered of the stack is what it was before.
            change_set.template = stack.template
            change_set.processed_template = stack.processed_template
            change_set.template_body = stack.template_body
            change_set.resolved_parameters = stack.resolved_parameters
        last = {
            (True, True): StackStatus.ROLLBACK_COMPLETE,
            (True, False): StackStatus.ROLLBACK_FAILED,
            (False, True): StackStatus.UPDATE_ROLLBACK_COMPLETE,
            (False, False): StackStatus.UPDATE_ROLLBACK_FAILED,
        }
        stack.set_stack_status(last[creation, undone], reason)
        left = known if undone else self.resources
        return ChangeSetModelExecutorResult(left, stack.resolved_outputs, reason)

    def _undo(self, done: Done) -> bool:
        """Take one thing back; say whether that worked."""
        if done.action == ChangeAction.Remove:
            return True
        added = done.action == ChangeAction.Add
        action = ChangeAction.Remove if added else ChangeAction.Modify
        event = super()._execute_resource_action(
            action, done.name, done.kind, done.now, None if added else done.before
        )
        self._process_event(
            action=action,
            logical_resource_id=done.name,
            event_status=event.status,
            resource_type=done.kind,
            reason=event.message or None,
        )
        return event.status == OperationStatus.SUCCESS
