"""EKS clusters and who may enter them."""

from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import (
    Model,
    StrictProvider,
    camel,
    default_name,
    gone,
    pick,
    tags,
)


class Cluster(StrictProvider):
    """A control plane."""

    type_name = "AWS::EKS::Cluster"
    identifier = "Name"
    plain = (
        "AccessConfig",
        "DeletionProtection",
        "EncryptionConfig",
        "KubernetesNetworkConfig",
        "Name",
        "ResourcesVpcConfig",
        "RoleArn",
        "UpgradePolicy",
        "Version",
    )
    properties = frozenset({"Logging", "Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        model.setdefault("Name", default_name(request, 100))
        arguments = camel(pick(model, *self.plain)) | {"logging": self._logging(model)}
        made = aws.eks.create_cluster(**arguments, tags=tags(model, request))["cluster"]
        keys = [config["provider"]["keyArn"] for config in made["encryptionConfig"]]
        model.update(
            Id=made["name"],
            Arn=made["arn"],
            Endpoint=made["endpoint"],
            CertificateAuthorityData=made["certificateAuthority"]["data"],
            ClusterSecurityGroupId=made["resourcesVpcConfig"]["clusterSecurityGroupId"],
            EncryptionConfigKeyArn="".join(keys),
            OpenIdConnectIssuerUrl=made["identity"]["oidc"]["issuer"],
        )

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        name = model["Name"]
        if model.get("Version") != before.get("Version"):
            aws.eks.update_cluster_version(name=name, version=model["Version"])
        # EKS takes one kind of change at a time.
        for key in ("ResourcesVpcConfig", "AccessConfig", "UpgradePolicy", "DeletionProtection"):
            if model.get(key) != before.get(key):
                arguments = camel(pick(model, key))
                # Said once, when the cluster is made.
                arguments.get("accessConfig", {}).pop(
                    "bootstrapClusterCreatorAdminPermissions", None
                )
                aws.eks.update_cluster_config(name=name, **arguments)
        if model.get("Logging") != before.get("Logging"):
            aws.eks.update_cluster_config(name=name, logging=self._logging(model))
        if removed := gone(before, model):
            aws.eks.untag_resource(resourceArn=model["Arn"], tagKeys=removed)
        aws.eks.tag_resource(resourceArn=model["Arn"], tags=tags(model, request))

    def remove(self, aws: Any, model: Model) -> None:
        aws.eks.delete_cluster(name=model["Name"])

    def _logging(self, model: Model) -> Model:
        enabled = model.get("Logging", {}).get("ClusterLogging", {}).get("EnabledTypes", [])
        types = [entry["Type"] for entry in enabled]
        return {"clusterLogging": [{"types": types, "enabled": True}] if types else []}


class AccessEntry(StrictProvider):
    """Somebody who may enter a cluster, and what they may do there."""

    type_name = "AWS::EKS::AccessEntry"
    identifier = "Id"
    plain = ("ClusterName", "KubernetesGroups", "PrincipalArn", "Type", "Username")
    properties = frozenset({"AccessPolicies", "Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = camel(pick(model, *self.plain))
        made = aws.eks.create_access_entry(**arguments, tags=tags(model, request))["accessEntry"]
        model["AccessEntryArn"] = made["accessEntryArn"]
        model["Id"] = f"{model['PrincipalArn']}|{model['ClusterName']}"
        self._associate(aws, model, {})

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        keys = ("ClusterName", "PrincipalArn", "Username")
        groups = model.get("KubernetesGroups") or []
        aws.eks.update_access_entry(**camel(pick(model, *keys)), kubernetesGroups=groups)
        self._associate(aws, model, before)
        if removed := gone(before, model):
            aws.eks.untag_resource(resourceArn=model["AccessEntryArn"], tagKeys=removed)
        aws.eks.tag_resource(resourceArn=model["AccessEntryArn"], tags=tags(model, request))

    def remove(self, aws: Any, model: Model) -> None:
        aws.eks.delete_access_entry(**camel(pick(model, "ClusterName", "PrincipalArn")))

    def _associate(self, aws: Any, model: Model, before: Model) -> None:
        entry = camel(pick(model, "ClusterName", "PrincipalArn"))
        wanted = {policy["PolicyArn"] for policy in model.get("AccessPolicies") or []}
        for policy in before.get("AccessPolicies") or []:
            if policy["PolicyArn"] not in wanted:
                aws.eks.disassociate_access_policy(**entry, policyArn=policy["PolicyArn"])
        for policy in model.get("AccessPolicies") or []:
            aws.eks.associate_access_policy(**entry, **camel(policy))


class PodIdentity(StrictProvider):
    """The role of a service account's pods."""

    type_name = "AWS::EKS::PodIdentityAssociation"
    identifier = "AssociationArn"
    plain = ("ClusterName", "Namespace", "RoleArn", "ServiceAccount")
    properties = frozenset({"Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = camel(pick(model, *self.plain))
        made = aws.eks.create_pod_identity_association(**arguments, tags=tags(model, request))
        association = made["association"]
        model["AssociationArn"] = association["associationArn"]
        model["AssociationId"] = association["associationId"]

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        arguments = camel(pick(model, "AssociationId", "ClusterName", "RoleArn"))
        aws.eks.update_pod_identity_association(**arguments)
        arn = {"resourceArn": model["AssociationArn"]}
        if removed := gone(before, model):
            aws.eks.untag_resource(**arn, tagKeys=removed)
        aws.eks.tag_resource(**arn, tags=tags(model, request))

    def remove(self, aws: Any, model: Model) -> None:
        arguments = camel(pick(model, "AssociationId", "ClusterName"))
        aws.eks.delete_pod_identity_association(**arguments)
