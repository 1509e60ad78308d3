"""IAM roles and identity providers."""

from contextlib import suppress
from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    default_name,
    document,
    gone,
    pick,
    tag_list,
    tags,
)


class Role(StrictProvider):
    """A role with its policies."""

    type_name = "AWS::IAM::Role"
    identifier = "RoleName"
    properties = frozenset(
        {
            "AssumeRolePolicyDocument",
            "Description",
            "ManagedPolicyArns",
            "MaxSessionDuration",
            "Path",
            "PermissionsBoundary",
            "Policies",
            "RoleName",
            "Tags",
        }
    )

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("RoleName", default_name(request))
        made = aws.iam.create_role(
            AssumeRolePolicyDocument=document(model["AssumeRolePolicyDocument"]),
            Tags=tag_list(tags(model, request)),
            **pick(model, "Description", "MaxSessionDuration", "Path", "RoleName"),
            **pick(model, "PermissionsBoundary"),
        )["Role"]
        model.update(pick(made, "Arn", "RoleId"))
        self._grant(aws, model, {})

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        role = pick(model, "RoleName")
        policy = document(model["AssumeRolePolicyDocument"])
        aws.iam.update_assume_role_policy(**role, PolicyDocument=policy)
        aws.iam.update_role(
            **role,
            Description=model.get("Description", ""),
            MaxSessionDuration=int(model.get("MaxSessionDuration") or 3600),
        )
        if boundary := pick(model, "PermissionsBoundary"):
            aws.iam.put_role_permissions_boundary(**role, **boundary)
        elif before.get("PermissionsBoundary"):
            aws.iam.delete_role_permissions_boundary(**role)
        self._grant(aws, model, before)
        if removed := gone(before, model):
            aws.iam.untag_role(**role, TagKeys=removed)
        aws.iam.tag_role(**role, Tags=tag_list(tags(model, request)))

    def remove(self, aws: Any, model: Model) -> None:
        role = pick(model, "RoleName")
        self._grant(aws, {**role}, model)
        # LocalStack may remove a role before those of its policies that are resources of their own.
        for name in aws.iam.list_role_policies(**role)["PolicyNames"]:
            aws.iam.delete_role_policy(**role, PolicyName=name)
        aws.iam.delete_role(**role)

    def _grant(self, aws: Any, model: Model, before: Model) -> None:
        """Attach and write the policies of the model, and take away those of before."""
        role = pick(model, "RoleName")
        new, old = (
            set(model.get("ManagedPolicyArns") or []),
            set(before.get("ManagedPolicyArns") or []),
        )
        for arn in sorted(old - new):
            aws.iam.detach_role_policy(**role, PolicyArn=arn)
        for arn in sorted(new - old):
            aws.iam.attach_role_policy(**role, PolicyArn=arn)
        written = {policy["PolicyName"] for policy in model.get("Policies") or []}
        for policy in before.get("Policies") or []:
            if policy["PolicyName"] not in written:
                aws.iam.delete_role_policy(**role, PolicyName=policy["PolicyName"])
        for policy in model.get("Policies") or []:
            body = document(policy["PolicyDocument"])
            aws.iam.put_role_policy(**role, PolicyName=policy["PolicyName"], PolicyDocument=body)


class RolePolicy(StrictProvider):
    """A policy of a role, apart from the role."""

    type_name = "AWS::IAM::RolePolicy"
    identifier = "Id"
    properties = frozenset({"PolicyDocument", "PolicyName", "RoleName"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        names = pick(model, "PolicyName", "RoleName")
        aws.iam.put_role_policy(**names, PolicyDocument=document(model["PolicyDocument"]))
        model["Id"] = f"{model['PolicyName']}|{model['RoleName']}"

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        self.add(aws, model, request)

    def remove(self, aws: Any, model: Model) -> None:
        with suppress(aws.iam.exceptions.NoSuchEntityException):
            aws.iam.delete_role_policy(**pick(model, "PolicyName", "RoleName"))


class ManagedPolicy(StrictProvider):
    """A policy that several roles may have, or that bounds them."""

    type_name = "AWS::IAM::ManagedPolicy"
    identifier = "PolicyArn"
    properties = frozenset({"Description", "ManagedPolicyName", "Path", "PolicyDocument"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        name = model.setdefault("ManagedPolicyName", default_name(request, 128))
        made = aws.iam.create_policy(
            PolicyName=name,
            PolicyDocument=document(model["PolicyDocument"]),
            **pick(model, "Description", "Path"),
        )["Policy"]
        model["PolicyArn"] = made["Arn"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:  # noqa: ARG002
        policy = pick(model, "PolicyArn")
        old = [one["VersionId"] for one in aws.iam.list_policy_versions(**policy)["Versions"]]
        text = document(model["PolicyDocument"])
        aws.iam.create_policy_version(**policy, PolicyDocument=text, SetAsDefault=True)
        # A policy has at most five versions.
        for version in old:
            aws.iam.delete_policy_version(**policy, VersionId=version)

    def remove(self, aws: Any, model: Model) -> None:
        aws.iam.delete_policy(**pick(model, "PolicyArn"))


class OidcProvider(StrictProvider):
    """Somebody else whose tokens IAM believes."""

    type_name = "AWS::IAM::OIDCProvider"
    identifier = "Arn"
    properties = frozenset({"ClientIdList", "Tags", "ThumbprintList", "Url"})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        made = aws.iam.create_open_id_connect_provider(
            Url=model["Url"],
            ClientIDList=model.get("ClientIdList") or [],
            ThumbprintList=model.get("ThumbprintList") or [],
            Tags=tag_list(tags(model, request)),
        )
        model["Arn"] = made["OpenIDConnectProviderArn"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        provider = {"OpenIDConnectProviderArn": model["Arn"]}
        if model.get("ThumbprintList") != before.get("ThumbprintList"):
            prints = model.get("ThumbprintList") or []
            aws.iam.update_open_id_connect_provider_thumbprint(**provider, ThumbprintList=prints)
        new, old = set(model.get("ClientIdList") or []), set(before.get("ClientIdList") or [])
        for client in sorted(new - old):
            aws.iam.add_client_id_to_open_id_connect_provider(**provider, ClientID=client)
        for client in sorted(old - new):
            aws.iam.remove_client_id_from_open_id_connect_provider(**provider, ClientID=client)
        if removed := gone(before, model):
            aws.iam.untag_open_id_connect_provider(**provider, TagKeys=removed)
        aws.iam.tag_open_id_connect_provider(**provider, Tags=tag_list(tags(model, request)))

    def remove(self, aws: Any, model: Model) -> None:
        aws.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=model["Arn"])
