"""Firewalls of WAF, and what they stand before."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    call,
    default_name,
    gone,
    pick,
    tag_list,
    tags,
)


class WebAcl(StrictProvider):
    """A firewall with its rules."""

    type_name = "AWS::WAFv2::WebACL"
    identifier = "Id"
    changing = ("DefaultAction", "Description", "Rules", "VisibilityConfig")
    properties = frozenset({"Name", "Scope", "Tags", *changing})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("Name", default_name(request, 128))
        arguments = pick(model, "Name", "Scope", *self.changing)
        arguments["Tags"] = tag_list(tags(model, request))
        made = call(aws.wafv2, "create_web_acl", **arguments)["Summary"]
        model.update(Arn=made["ARN"], Id=made["Id"])

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        model |= which(model)
        arguments = {**self._locked(aws, model), **pick(model, *self.changing)}
        call(aws.wafv2, "update_web_acl", **arguments)
        if removed := gone(before, model):
            aws.wafv2.untag_resource(ResourceARN=model["Arn"], TagKeys=removed)
        aws.wafv2.tag_resource(ResourceARN=model["Arn"], Tags=tag_list(tags(model, request)))

    def remove(self, aws: Any, model: Model) -> None:
        aws.wafv2.delete_web_acl(**self._locked(aws, model))

    def _locked(self, aws: Any, model: Model) -> Model:
        mine = which(model)
        return mine | {"LockToken": aws.wafv2.get_web_acl(**mine)["LockToken"]}


def which(model: Model) -> Model:
    """Say which firewall is meant; its name may be one that it was given."""
    return {"Id": model["Id"], "Name": model["Arn"].split("/")[-2], "Scope": model["Scope"]}


class WebAclAssociation(StrictProvider):
    """What a firewall stands before."""

    type_name = "AWS::WAFv2::WebACLAssociation"
    identifier = "ResourceArn"
    properties = frozenset({"ResourceArn", "WebACLArn"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        aws.wafv2.associate_web_acl(**pick(model, *self.properties))

    def remove(self, aws: Any, model: Model) -> None:
        aws.wafv2.disassociate_web_acl(**pick(model, "ResourceArn"))
