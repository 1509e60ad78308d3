"""What the services that this package answers for have in common."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.plugins import Service

Operation = Callable[[RequestContext, dict[str, Any]], dict[str, Any]]


def _isolated(operation: Operation) -> Operation:
    """Give an answer of its own to each caller: the records keep changing."""
    return lambda context, request: copy.deepcopy(operation(context, dict(request)))


def serve(api: str, operations: dict[str, Operation]) -> Service:
    """Build a service; LocalStack answers that operations which are not listed do not exist."""
    table = {name: _isolated(operation) for name, operation in operations.items()}
    return Service(name=api, skeleton=Skeleton(load_service(api), table))


def error(code: str, message: str, status: int = 400) -> CommonServiceException:
    """Make an error that the caller is told."""
    return CommonServiceException(code, message, status, sender_fault=True)


def now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)
