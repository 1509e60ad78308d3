"""Managed node groups: records of what was asked for, with no machines behind them."""

from typing import Any

from botocore.exceptions import ClientError
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.connect import connect_to

from localstack_eks.eks import access
from localstack_eks.eks.store import Document, Record, arn, find, identifier, note
from localstack_eks.serve import error, now

GIVEN = (
    "amiType",
    "capacityType",
    "clusterName",
    "instanceTypes",
    "labels",
    "nodegroupName",
    "nodeRepairConfig",
    "nodeRole",
    "scalingConfig",
    "subnets",
    "taints",
    "updateConfig",
)
DEFAULTS: Document = {
    "amiType": "AL2023_x86_64_STANDARD",
    "capacityType": "ON_DEMAND",
    "labels": {},
    "scalingConfig": {"minSize": 1, "maxSize": 2, "desiredSize": 2},
    "taints": [],
    "updateConfig": {"maxUnavailable": 1},
}
MINORS_BEHIND = 3
"""How many minors nodes may be behind their control plane."""


def _group(context: RequestContext, request: Document) -> Document:
    name = request["nodegroupName"]
    group = find(context, request["clusterName"]).node_groups.get(name)
    if group is None:
        message = f"No node group found for name: {name}."
        raise error("ResourceNotFoundException", message, 404)
    return group


def create(context: RequestContext, request: Document) -> Document:
    """Make a node group; its nodes' role is let into the cluster."""
    record = find(context, request["clusterName"])
    name = request["nodegroupName"]
    if name in record.node_groups:
        message = f"NodeGroup already exists with name {name} and cluster name {record.name}"
        raise error("ResourceInUseException", message, 409)
    group = DEFAULTS | {key: request[key] for key in GIVEN if request.get(key) is not None}
    _check_subnets(context, record, group["subnets"])
    _check_sizes(group["scalingConfig"])
    version = request.get("version") or record.cluster["version"]
    _check_version(record, version)
    group |= {
        "nodegroupArn": arn(context, "nodegroup", record.name, name, identifier()),
        "version": version,
        "releaseVersion": f"{version}.0-20260101",
        "createdAt": now(),
        "modifiedAt": now(),
        "status": "ACTIVE",
        "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{identifier()}"}]},
        "health": {"issues": []},
        "tags": request.get("tags") or {},
    }
    if wanted := request.get("launchTemplate"):
        group["launchTemplate"] = _launch_template(context, wanted)
    record.node_groups[name] = group
    access.admit_nodes(context, record.name, group["nodeRole"])
    return {"nodegroup": group}


def _ec2(context: RequestContext) -> Any:
    return connect_to(aws_access_key_id=context.account_id, region_name=context.region).ec2


def _invalid(message: str) -> CommonServiceException:
    return error("InvalidParameterException", message)


def _check_subnets(context: RequestContext, record: Record, subnets: list[str]) -> None:
    try:
        found = _ec2(context).describe_subnets(SubnetIds=subnets)["Subnets"]
    except ClientError as missing:
        raise _invalid(missing.response["Error"]["Message"]) from missing
    vpc = record.cluster["resourcesVpcConfig"]["vpcId"]
    if {subnet["VpcId"] for subnet in found} != {vpc}:
        raise _invalid(f"Subnets are not in the VPC of the cluster, {vpc}")


def _check_sizes(scaling: Document) -> None:
    if scaling["minSize"] > scaling["desiredSize"]:
        raise _invalid("minSize can't be greater than desiredSize")
    if scaling["desiredSize"] > scaling["maxSize"]:
        raise _invalid("desiredSize can't be greater than maxSize")


def _check_version(record: Record, version: str) -> None:
    """Nodes may be older than their control plane, and not newer."""
    behind = int(record.cluster["version"].split(".")[1]) - int(version.split(".")[1])
    if not 0 <= behind <= MINORS_BEHIND:
        message = f"Requested Nodegroup version {version} does not fit the cluster's"
        raise _invalid(f"{message}, {record.cluster['version']}")


def _launch_template(context: RequestContext, wanted: Document) -> Document:
    """Find the version of a launch template; what EKS says itself may not be in it."""
    named = (
        {"LaunchTemplateId": wanted["id"]}
        if "id" in wanted
        else {"LaunchTemplateName": wanted["name"]}
    )
    version = wanted.get("version") or "$Default"
    try:
        found = _ec2(context).describe_launch_template_versions(**named, Versions=[version])
    except ClientError as missing:
        raise _invalid(missing.response["Error"]["Message"]) from missing
    if not found["LaunchTemplateVersions"]:
        raise _invalid(f"The launch template {named} has no version {version}")
    template = found["LaunchTemplateVersions"][0]
    for key in ("IamInstanceProfile", "ImageId"):
        if key in template["LaunchTemplateData"]:
            raise _invalid(f"{key} in a launch template is not made here")
    return {
        "id": template["LaunchTemplateId"],
        "name": template["LaunchTemplateName"],
        "version": str(template["VersionNumber"]),
    }


def describe(context: RequestContext, request: Document) -> Document:
    """Show a node group."""
    return {"nodegroup": _group(context, request)}


def list_all(context: RequestContext, request: Document) -> Document:
    """List the node groups of a cluster."""
    return {"nodegroups": sorted(find(context, request["clusterName"]).node_groups)}


def update_config(context: RequestContext, request: Document) -> Document:
    """Change the size, the labels and taints, and how nodes are replaced."""
    group = _group(context, request)
    scaling = group["scalingConfig"] | (request.get("scalingConfig") or {})
    _check_sizes(scaling)
    labels = request.get("labels") or {}
    kept = {
        key: value
        for key, value in group["labels"].items()
        if key not in (labels.get("removeLabels") or [])
    }
    taints = request.get("taints") or {}
    changed = (taints.get("removeTaints") or []) + (taints.get("addOrUpdateTaints") or [])
    places = {(taint["key"], taint["effect"]) for taint in changed}
    stay = [one for one in group["taints"] if (one["key"], one["effect"]) not in places]
    group |= {
        "scalingConfig": scaling,
        "labels": kept | (labels.get("addOrUpdateLabels") or {}),
        "taints": stay + (taints.get("addOrUpdateTaints") or []),
        "modifiedAt": now(),
    }
    for key in ("nodeRepairConfig", "updateConfig"):
        if request.get(key):
            group[key] = request[key]
    return note(find(context, request["clusterName"]), "ConfigUpdate", {})


def update_version(context: RequestContext, request: Document) -> Document:
    """Replace the nodes by such of another version or launch template."""
    record, group = find(context, request["clusterName"]), _group(context, request)
    version = request.get("version") or group["version"]
    _check_version(record, version)
    if int(version.split(".")[1]) < int(group["version"].split(".")[1]):
        raise _invalid(f"Nodes do not go back from {group['version']} to {version}")
    if wanted := request.get("launchTemplate"):
        if "launchTemplate" not in group:
            raise _invalid("The node group was made without a launch template")
        group["launchTemplate"] = _launch_template(context, wanted)
    group |= {
        "version": version,
        "releaseVersion": f"{version}.0-20260101",
        "modifiedAt": now(),
    }
    return note(record, "VersionUpdate", {"Version": version})


def delete(context: RequestContext, request: Document) -> Document:
    """Remove a node group."""
    group = _group(context, request)
    del find(context, request["clusterName"]).node_groups[group["nodegroupName"]]
    return {"nodegroup": group | {"status": "DELETING"}}
