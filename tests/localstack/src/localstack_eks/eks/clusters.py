"""Clusters, and the updates that changed them."""

import uuid
from typing import Any

from botocore.exceptions import ClientError
from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to

from localstack_eks.eks import api_server, versions
from localstack_eks.eks.store import Document, Record, arn, clusters, find, note
from localstack_eks.serve import error, now

ZONES_AT_LEAST = 2


def _ec2(context: RequestContext) -> Any:
    return connect_to(aws_access_key_id=context.account_id, region_name=context.region).ec2


def create(context: RequestContext, request: Document) -> Document:
    """Make a control plane."""
    name = request["name"]
    if name in clusters(context):
        raise error("ResourceInUseException", f"Cluster already exists with name: {name}", 409)
    unique = uuid.uuid4().hex.upper()
    issuer = f"https://oidc.eks.{context.region}.amazonaws.com/id/{unique}"
    cluster = {
        "name": name,
        "arn": arn(context, "cluster", name),
        "createdAt": now(),
        "version": request.get("version") or versions.DEFAULT,
        "endpoint": f"https://{unique}.gr7.{context.region}.eks.amazonaws.com",
        "roleArn": request["roleArn"],
        "resourcesVpcConfig": _network(context, name, request["resourcesVpcConfig"]),
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"}
        | (request.get("kubernetesNetworkConfig") or {}),
        "logging": request.get("logging") or {"clusterLogging": []},
        "identity": {"oidc": {"issuer": issuer}},
        "status": "ACTIVE",
        "certificateAuthority": {"data": api_server.nobody()},
        "platformVersion": "eks.1",
        "tags": request.get("tags") or {},
        "encryptionConfig": request.get("encryptionConfig") or [],
        "health": {"issues": []},
        "accessConfig": {
            "authenticationMode": "CONFIG_MAP",
            "bootstrapClusterCreatorAdminPermissions": True,
        }
        | (request.get("accessConfig") or {}),
        "upgradePolicy": request.get("upgradePolicy") or {"supportType": "EXTENDED"},
        "deletionProtection": bool(request.get("deletionProtection")),
    }
    clusters(context)[name] = Record(cluster)
    return {"cluster": _behind(cluster)}


def _network(context: RequestContext, name: str, wanted: Document) -> Document:
    """Place a control plane: its subnets must exist, and its security group is made."""
    ec2 = _ec2(context)
    try:
        subnets = ec2.describe_subnets(SubnetIds=wanted["subnetIds"])["Subnets"]
    except ClientError as missing:
        message = missing.response["Error"]["Message"]
        raise error("InvalidParameterException", message) from missing
    if len({subnet["AvailabilityZone"] for subnet in subnets}) < ZONES_AT_LEAST:
        message = "Subnets specified must be in at least two different AZs"
        raise error("InvalidParameterException", message)
    vpc = subnets[0]["VpcId"]
    owned = {"Key": f"kubernetes.io/cluster/{name}", "Value": "owned"}
    group = ec2.create_security_group(
        GroupName=f"eks-cluster-sg-{name}-{uuid.uuid4().int % 10**9}",
        Description="EKS created security group applied to ENIs of the control plane",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [owned]}],
    )
    return {
        "subnetIds": wanted["subnetIds"],
        "securityGroupIds": wanted.get("securityGroupIds") or [],
        "clusterSecurityGroupId": group["GroupId"],
        "vpcId": vpc,
        "endpointPublicAccess": wanted.get("endpointPublicAccess", True),
        "endpointPrivateAccess": wanted.get("endpointPrivateAccess", False),
        "publicAccessCidrs": wanted.get("publicAccessCidrs") or ["0.0.0.0/0"],
    }


def _behind(cluster: Document) -> Document:
    """Show the API server that answers now."""
    try:
        server = api_server.find()
    except (KeyError, TypeError, StopIteration, ValueError, OSError) as unreadable:
        message = f"the file that ${api_server.VARIABLE} names is no kubeconfig: {unreadable!r}"
        raise error("ServerException", message, 500) from unreadable
    if server is None:
        return cluster
    return cluster | {
        "endpoint": server.endpoint,
        "certificateAuthority": {"data": server.authority},
    }


def describe(context: RequestContext, request: Document) -> Document:
    """Show a cluster."""
    return {"cluster": _behind(find(context, request["name"]).cluster)}


def list_all(context: RequestContext, request: Document) -> Document:  # noqa: ARG001
    """List the clusters."""
    return {"clusters": sorted(clusters(context))}


def delete(context: RequestContext, request: Document) -> Document:
    """Remove a cluster and the security group that came with it."""
    record = find(context, request["name"])
    cluster = record.cluster
    if record.node_groups:
        raise error("ResourceInUseException", "Cluster has nodegroups attached", 409)
    if cluster["deletionProtection"]:
        message = f"Cluster {cluster['name']} cannot be deleted: deletion protection is enabled"
        raise error("InvalidRequestException", message)
    del clusters(context)[cluster["name"]]
    group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
    _ec2(context).delete_security_group(GroupId=group)
    return {"cluster": _behind(cluster | {"status": "DELETING"})}


def update_config(context: RequestContext, request: Document) -> Document:
    """Change how a cluster is reached, logged and protected."""
    record = find(context, request["name"])
    for key in ("resourcesVpcConfig", "accessConfig", "upgradePolicy", "logging"):
        if request.get(key):
            record.cluster[key] = record.cluster[key] | request[key]
    if request.get("deletionProtection") is not None:
        record.cluster["deletionProtection"] = request["deletionProtection"]
    return note(record, "ConfigUpdate", {})


def update_version(context: RequestContext, request: Document) -> Document:
    """Go to the next minor."""
    record = find(context, request["name"])
    old, new = record.cluster["version"], request["version"]
    step = int(new.split(".")[1]) - int(old.split(".")[1])
    if step not in (0, 1):
        message = f"Unsupported Kubernetes minor version update from {old} to {new}"
        raise error("InvalidParameterException", message)
    record.cluster["version"] = new
    return note(record, "VersionUpdate", {"Version": new})


def describe_update(context: RequestContext, request: Document) -> Document:
    """Show an update."""
    update = find(context, request["name"]).updates.get(request["updateId"])
    if update is None:
        message = f"No update found for ID: {request['updateId']}"
        raise error("ResourceNotFoundException", message, 404)
    return {"update": update}
