"""What every resource provider of this package has in common.

A provider makes what its template says, or fails: a property that it would have to ignore is
refused, and so is an update that it cannot make.
"""

import json
import uuid
from typing import Any, ClassVar

from botocore.exceptions import ClientError
from localstack.services.cloudformation.resource_provider import (
    OperationStatus,
    ProgressEvent,
    ResourceProvider,
    ResourceRequest,
)

from localstack_eks.schemas import schema

Model = dict[str, Any]

PROVIDERS: dict[str, type["StrictProvider"]] = {}
"""The providers of this package, by resource type; they come before LocalStack's own."""


class UnsupportedPropertyError(Exception):
    """A template says something that the provider does not know how to make."""


class StrictProvider(ResourceProvider):
    """Makes, changes and removes resources of one type through the service's own API.

    A subclass implements `add`, `change` and `remove` on a model: the properties of the template,
    to which `add` adds what `Ref` and `Fn::GetAtt` ask for.
    """

    type_name: ClassVar[str]
    identifier: ClassVar[str]
    """The key in the model that `Ref` gives."""
    properties: ClassVar[frozenset[str]]
    """What may be in a template."""
    moving: ClassVar[frozenset[str]] = frozenset()
    """Attributes that are others when the resource changes in place."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the provider."""
        super().__init_subclass__(**kwargs)
        if "type_name" not in cls.__dict__:
            return
        cls.SCHEMA = schema(cls.type_name) | {
            "primaryIdentifier": [f"/properties/{cls.identifier}"]
        }
        unknown = cls.properties - cls.SCHEMA["properties"].keys()
        if unknown:
            raise TypeError(f"{cls.type_name} has no {', '.join(sorted(unknown))}")
        PROVIDERS[cls.type_name] = cls

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        """Make the resource; add to the model what others may ask for."""
        raise NotImplementedError

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        """Make the resource what the model says."""
        raise NotImplementedError(f"LocalStack cannot change {self.type_name}")

    def remove(self, aws: Any, model: Model) -> None:
        """Remove the resource."""
        raise NotImplementedError

    def create(self, request: ResourceRequest) -> ProgressEvent:
        """Make what a change set adds."""
        model = dict(request.desired_state)
        self._check(model)
        self.add(request.aws_client_factory, model, request)
        return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)

    def update(self, request: ResourceRequest) -> ProgressEvent:
        """Make what a change set changes."""
        before = dict(request.previous_state or {})
        # What the service has given stays; what the template no longer says goes.
        given = {key: value for key, value in before.items() if key not in self.properties}
        given |= {self.identifier: before[self.identifier]}
        # A rollback asks for what was given as well.
        self._check(
            {key: value for key, value in request.desired_state.items() if key not in given}
        )
        model = given | dict(request.desired_state)
        self.change(request.aws_client_factory, model, before, request)
        return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)

    def delete(self, request: ResourceRequest) -> ProgressEvent:
        """Remove what a change set, or the deletion of a stack, removes."""
        model = request.desired_state or request.previous_state or {}
        try:
            self.remove(request.aws_client_factory, model)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if "NotFound" not in code and "NoSuch" not in code:
                return ProgressEvent(OperationStatus.FAILED, resource_model={}, message=str(error))
        return ProgressEvent(OperationStatus.SUCCESS, resource_model={})

    def _check(self, model: Model) -> None:
        unknown = model.keys() - self.properties - {self.identifier}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise UnsupportedPropertyError(
                f"LocalStack does not make {self.type_name} with {names}"
            )


def call(client: Any, method: str, **arguments: Any) -> Any:
    """Call an operation with values of the types that it takes: templates may write all as text."""
    name = client.meta.method_to_api_mapping[method]
    shape = client.meta.service_model.operation_model(name).input_shape
    return getattr(client, method)(**typed(shape, arguments))


def typed(shape: Any, value: Any) -> Any:
    """Give a value the types of a shape; a member that the shape lacks is refused."""
    if shape.type_name == "structure":
        unknown = ", ".join(sorted(value.keys() - shape.members.keys()))
        if unknown:
            raise UnsupportedPropertyError(f"LocalStack does not make {shape.name} with {unknown}")
        return {key: typed(shape.members[key], inner) for key, inner in value.items()}
    if shape.type_name == "map":
        return {key: typed(shape.value, inner) for key, inner in value.items()}
    if shape.type_name == "list":
        return [typed(shape.member, inner) for inner in value]
    if shape.type_name == "string":
        return str(value).lower() if isinstance(value, bool) else str(value)
    types = {"boolean": truth, "integer": int, "long": int, "float": float, "double": float}
    return types.get(shape.type_name, lambda other: other)(value)


def pick(model: Model, *keys: str) -> Model:
    """Give the properties that are there."""
    return {key: model[key] for key in keys if model.get(key) is not None}


def truth(value: Any) -> bool:
    """Read a boolean, which templates may write as a string."""
    return str(value).lower() == "true"


def document(value: Any) -> str:
    """Give a policy as text."""
    return value if isinstance(value, str) else json.dumps(value)


def default_name(request: ResourceRequest, longest: int = 64) -> str:
    """Make a name for a resource whose template gives none, as CloudFormation does."""
    suffix = uuid.uuid4().hex[:12]
    room = longest - len(suffix) - 1
    return f"{request.stack_name}-{request.logical_resource_id}"[:room] + "-" + suffix


def tags(model: Model, request: ResourceRequest) -> dict[str, str]:
    """Give the tags that a resource gets: its stack's and its own."""
    own = {tag["Key"]: str(tag["Value"]) for tag in model.get("Tags") or []}
    return {**request.custom_context.get("stack_tags", {}), **own}


def tag_list(tags: dict[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Give tags in the form of a list."""
    return [{key: name, value: text} for name, text in sorted(tags.items())]


def gone(before: Model, model: Model) -> list[str]:
    """Give the names of tags that a template no longer has."""
    keep = {tag["Key"] for tag in model.get("Tags") or []}
    return sorted({tag["Key"] for tag in before.get("Tags") or []} - keep)


def camel(value: Any) -> Any:
    """Give properties in the spelling that the EKS API has for them."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: camel(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [camel(inner) for inner in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
