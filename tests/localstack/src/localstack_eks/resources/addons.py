"""Add-ons of clusters."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, StrictProvider, camel, gone, pick, tags


class Addon(StrictProvider):
    """Something that EKS installs in a cluster and keeps there."""

    type_name = "AWS::EKS::Addon"
    identifier = "Id"
    """CloudFormation joins the names of the cluster and the add-on."""
    configured = ("AddonVersion", "ConfigurationValues", "PodIdentityAssociations")
    plain = ("AddonName", "ClusterName", "ResolveConflicts", *configured)
    properties = frozenset({"Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = camel(pick(model, *self.plain))
        made = aws.eks.create_addon(**arguments, tags=tags(model, request))["addon"]
        if made["status"] != "ACTIVE":
            self.remove(aws, model)
            reasons = ", ".join(issue["message"] for issue in made["health"]["issues"])
            raise RuntimeError(f"{made['addonName']} is {made['status']}: {reasons}")
        model["Arn"] = made["addonArn"]
        model["Id"] = f"{model['ClusterName']}|{model['AddonName']}"

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        if any(model.get(key) != before.get(key) for key in self.configured):
            arguments = {
                "ConfigurationValues": "",
                "PodIdentityAssociations": [],
                **pick(model, *self.plain),
            }
            aws.eks.update_addon(**camel(arguments))
        arn = {"resourceArn": model["Arn"]}
        if removed := gone(before, model):
            aws.eks.untag_resource(**arn, tagKeys=removed)
        aws.eks.tag_resource(**arn, tags=tags(model, request))

    def remove(self, aws: Any, model: Model) -> None:
        aws.eks.delete_addon(**camel(pick(model, "AddonName", "ClusterName")))
