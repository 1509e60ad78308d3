"""Node groups and the launch templates of their nodes."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    call,
    camel,
    default_name,
    pick,
)


class LaunchTemplate(StrictProvider):
    """How machines are started."""

    type_name = "AWS::EC2::LaunchTemplate"
    identifier = "LaunchTemplateId"
    properties = frozenset(
        {"LaunchTemplateData", "LaunchTemplateName", "TagSpecifications", "VersionDescription"}
    )
    moving = frozenset({"LatestVersionNumber"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("LaunchTemplateName", default_name(request, 128))
        made = call(aws.ec2, "create_launch_template", **pick(model, *self.properties))
        model["LaunchTemplateId"] = made["LaunchTemplate"]["LaunchTemplateId"]
        self._number(model, 1)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        if model.get("TagSpecifications") != before.get("TagSpecifications"):
            raise NotImplementedError(f"LocalStack cannot change tags of {self.type_name}")
        mine = pick(model, "LaunchTemplateId")
        data = pick(model, "LaunchTemplateData", "VersionDescription")
        made = call(aws.ec2, "create_launch_template_version", **mine, **data)
        self._number(model, made["LaunchTemplateVersion"]["VersionNumber"])

    def remove(self, aws: Any, model: Model) -> None:
        aws.ec2.delete_launch_template(LaunchTemplateId=model["LaunchTemplateId"])

    def _number(self, model: Model, latest: int) -> None:
        model.update(DefaultVersionNumber="1", LatestVersionNumber=str(latest))


class NodeGroup(StrictProvider):
    """A managed node group."""

    type_name = "AWS::EKS::Nodegroup"
    identifier = "Id"
    fixed = ("AmiType", "CapacityType", "InstanceTypes", "NodeRole", "NodegroupName", "Subnets")
    configured = ("NodeRepairConfig", "ScalingConfig", "UpdateConfig")
    plain = ("ClusterName", "Labels", "LaunchTemplate", "Taints", "Version", *fixed, *configured)
    properties = frozenset({"Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("NodegroupName", default_name(request, 63))
        arguments = spelt(pick(model, *self.plain)) | {"tags": self._tags(model, request)}
        made = call(aws.eks, "create_nodegroup", **arguments)["nodegroup"]
        model["Arn"] = made["nodegroupArn"]
        model["Id"] = f"{model['ClusterName']}/{model['NodegroupName']}"

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        # The name that CloudFormation has made is not in the template.
        model["NodegroupName"] = model["Id"].split("/")[1]
        group = camel(pick(model, "ClusterName", "NodegroupName"))
        versions = [
            key for key in ("LaunchTemplate", "Version") if model.get(key) != before.get(key)
        ]
        if versions:
            call(aws.eks, "update_nodegroup_version", **group, **spelt(pick(model, *versions)))
        config = [key for key in self.configured if model.get(key) != before.get(key)]
        arguments = spelt(pick(model, *config))
        if model.get("Labels") != before.get("Labels"):
            labels = model.get("Labels") or {}
            left = sorted((before.get("Labels") or {}).keys() - labels.keys())
            arguments["labels"] = {"addOrUpdateLabels": labels, "removeLabels": left}
        if model.get("Taints") != before.get("Taints"):
            new, old = (spelt(one.get("Taints") or []) for one in (model, before))
            left = [taint for taint in old if taint not in new]
            arguments["taints"] = {"removeTaints": left, "addOrUpdateTaints": new}
        if arguments:
            call(aws.eks, "update_nodegroup_config", **group, **arguments)
        arn = {"resourceArn": model["Arn"]}
        removed = sorted((before.get("Tags") or {}).keys() - (model.get("Tags") or {}).keys())
        if removed:
            aws.eks.untag_resource(**arn, tagKeys=removed)
        aws.eks.tag_resource(**arn, tags=self._tags(model, request))

    def remove(self, aws: Any, model: Model) -> None:
        aws.eks.delete_nodegroup(**camel(pick(model, "ClusterName", "NodegroupName")))

    def _tags(self, model: Model, request: ResourceRequest) -> dict[str, str]:
        """Give the tags, which are written as a map here."""
        return {**request.custom_context.get("stack_tags", {}), **(model.get("Tags") or {})}


def spelt(value: Any, *, labels: bool = False) -> Any:
    """Give properties in the spelling of the API; the names of labels are not spelt."""
    if isinstance(value, dict) and not labels:
        return {
            key[:1].lower() + key[1:]: spelt(inner, labels=key == "Labels")
            for key, inner in value.items()
        }
    return [spelt(inner) for inner in value] if isinstance(value, list) else value
