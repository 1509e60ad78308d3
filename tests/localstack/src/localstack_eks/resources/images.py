"""Image repositories."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    call,
    camel,
    default_name,
    gone,
    pick,
    tag_list,
    tags,
    truth,
)


class Repository(StrictProvider):
    """A repository of ECR."""

    type_name = "AWS::ECR::Repository"
    identifier = "RepositoryName"
    properties = frozenset(
        {
            "EmptyOnDelete",
            "EncryptionConfiguration",
            "ImageScanningConfiguration",
            "ImageTagMutability",
            "ImageTagMutabilityExclusionFilters",
            "LifecyclePolicy",
            "RepositoryName",
            "Tags",
        }
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("RepositoryName", default_name(request, 100).lower())
        arguments = camel(pick(model, "EncryptionConfiguration", "ImageScanningConfiguration"))
        made = call(
            aws.ecr,
            "create_repository",
            **camel(pick(model, "RepositoryName")),
            **arguments,
            **self._mutability(model),
            tags=tag_list(tags(model, request)),
        )["repository"]
        model.update(Arn=made["repositoryArn"], RepositoryUri=made["repositoryUri"])
        self._expire(aws, model, {})

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        name = camel(pick(model, "RepositoryName"))
        mutability = {"imageTagMutability": "MUTABLE"} | self._mutability(model)
        aws.ecr.put_image_tag_mutability(**name, **mutability)
        scanning = model.get("ImageScanningConfiguration") or {"ScanOnPush": False}
        call(
            aws.ecr,
            "put_image_scanning_configuration",
            **name,
            imageScanningConfiguration=camel(scanning),
        )
        self._expire(aws, model, before)
        if removed := gone(before, model):
            aws.ecr.untag_resource(resourceArn=model["Arn"], tagKeys=removed)
        aws.ecr.tag_resource(resourceArn=model["Arn"], tags=tag_list(tags(model, request)))

    def remove(self, aws: Any, model: Model) -> None:
        force = truth(model.get("EmptyOnDelete"))
        aws.ecr.delete_repository(repositoryName=model["RepositoryName"], force=force)

    def _mutability(self, model: Model) -> Model:
        arguments = camel(pick(model, "ImageTagMutability"))
        filters = model.get("ImageTagMutabilityExclusionFilters")
        if filters:
            arguments["imageTagMutabilityExclusionFilters"] = [
                {
                    "filterType": one["ImageTagMutabilityExclusionFilterType"],
                    "filter": one["ImageTagMutabilityExclusionFilterValue"],
                }
                for one in filters
            ]
        return arguments

    def _expire(self, aws: Any, model: Model, before: Model) -> None:
        name = camel(pick(model, "RepositoryName"))
        if policy := model.get("LifecyclePolicy"):
            text = policy["LifecyclePolicyText"]
            aws.ecr.put_lifecycle_policy(**name, lifecyclePolicyText=text)
        elif before.get("LifecyclePolicy"):
            aws.ecr.delete_lifecycle_policy(**name)
