"""What a resource is now, read from its service: the properties that drift is looked for in.

A type that has no reader here is one whose drift CloudFormation does not look for.
"""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from localstack_eks.provider import Model

Reader = Callable[[Any, Model], Model]

READERS: dict[str, Reader] = {}


class GoneError(LookupError):
    """The resource is not there any more."""


def reads(type_name: str) -> Callable[[Reader], Reader]:
    """Register what reads the resources of a type."""

    def register(reader: Reader) -> Reader:
        READERS[type_name] = reader
        return reader

    return register


def read(aws: Any, type_name: str, model: Model) -> Model:
    """Read a resource."""
    try:
        return READERS[type_name](aws, model)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "NotFound" in code or "NoSuch" in code:
            raise GoneError(model) from error
        raise


def only(found: list[Model]) -> Model:
    """Give the one that is there."""
    if not found:
        raise GoneError
    return found[0]


@reads("AWS::EC2::VPC")
def vpc(aws: Any, model: Model) -> Model:
    """Read a VPC."""
    found = only(aws.ec2.describe_vpcs(VpcIds=[model["VpcId"]])["Vpcs"])
    live = {"CidrBlock": found["CidrBlock"], "Tags": found.get("Tags", [])}
    for name in ("EnableDnsHostnames", "EnableDnsSupport"):
        attribute = name[0].lower() + name[1:]
        told = aws.ec2.describe_vpc_attribute(VpcId=model["VpcId"], Attribute=attribute)
        live[name] = told[name]["Value"]
    return live


@reads("AWS::EC2::Subnet")
def subnet(aws: Any, model: Model) -> Model:
    """Read a subnet."""
    found = only(aws.ec2.describe_subnets(SubnetIds=[model["SubnetId"]])["Subnets"])
    names = ("AvailabilityZone", "CidrBlock", "MapPublicIpOnLaunch", "VpcId")
    return {name: found[name] for name in names} | {"Tags": found.get("Tags", [])}


@reads("AWS::EC2::InternetGateway")
def internet_gateway(aws: Any, model: Model) -> Model:
    """Read an internet gateway."""
    ids = [model["InternetGatewayId"]]
    found = aws.ec2.describe_internet_gateways(InternetGatewayIds=ids)["InternetGateways"]
    return {"Tags": only(found).get("Tags", [])}


@reads("AWS::EC2::RouteTable")
def route_table(aws: Any, model: Model) -> Model:
    """Read a route table."""
    ids = [model["RouteTableId"]]
    found = only(aws.ec2.describe_route_tables(RouteTableIds=ids)["RouteTables"])
    return {"VpcId": found["VpcId"], "Tags": found.get("Tags", [])}


@reads("AWS::EC2::Route")
def route(aws: Any, model: Model) -> Model:
    """Read a route."""
    ids = [model["RouteTableId"]]
    routes = only(aws.ec2.describe_route_tables(RouteTableIds=ids)["RouteTables"])["Routes"]
    to = model["DestinationCidrBlock"]
    found = only([one for one in routes if one.get("DestinationCidrBlock") == to])
    return {name: found.get(name) for name in ("GatewayId", "NatGatewayId")}


@reads("AWS::EC2::SubnetRouteTableAssociation")
def route_table_association(aws: Any, model: Model) -> Model:
    """Read which table a subnet has."""
    here = [{"Name": "association.route-table-association-id", "Values": [model["Id"]]}]
    table = only(aws.ec2.describe_route_tables(Filters=here)["RouteTables"])
    mine = [one for one in table["Associations"] if one["RouteTableAssociationId"] == model["Id"]]
    return {"RouteTableId": table["RouteTableId"], "SubnetId": only(mine)["SubnetId"]}


@reads("AWS::EC2::EIP")
def address(aws: Any, model: Model) -> Model:
    """Read a public address."""
    ids = [model["AllocationId"]]
    found = only(aws.ec2.describe_addresses(AllocationIds=ids)["Addresses"])
    return {"Domain": found["Domain"], "Tags": found.get("Tags", [])}


@reads("AWS::EC2::NatGateway")
def nat_gateway(aws: Any, model: Model) -> Model:
    """Read a NAT gateway."""
    ids = [model["NatGatewayId"]]
    found = only(aws.ec2.describe_nat_gateways(NatGatewayIds=ids)["NatGateways"])
    if found["State"] in ("deleted", "deleting"):
        raise GoneError(model)
    return {"SubnetId": found["SubnetId"], "Tags": found.get("Tags", [])}


@reads("AWS::EC2::VPCEndpoint")
def vpc_endpoint(aws: Any, model: Model) -> Model:
    """Read an endpoint."""
    found = only(aws.ec2.describe_vpc_endpoints(VpcEndpointIds=[model["Id"]])["VpcEndpoints"])
    if found["State"] == "deleted":
        raise GoneError(model)
    names = ("RouteTableIds", "ServiceName", "VpcEndpointType", "VpcId")
    return {name: found.get(name) for name in names}


@reads("AWS::EC2::FlowLog")
def flow_log(aws: Any, model: Model) -> Model:
    """Read a flow log."""
    found = only(aws.ec2.describe_flow_logs(FlowLogIds=[model["Id"]])["FlowLogs"])
    names = ("DeliverLogsPermissionArn", "LogGroupName", "ResourceId", "TrafficType")
    return {name: found.get(name) for name in names}


@reads("AWS::Logs::LogGroup")
def log_group(aws: Any, model: Model) -> Model:
    """Read a log group."""
    name = model["LogGroupName"]
    listed = aws.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    found = only([group for group in listed if group["logGroupName"] == name])
    return {"RetentionInDays": found.get("retentionInDays")}


@reads("AWS::IAM::Role")
def role(aws: Any, model: Model) -> Model:
    """Read a role."""
    mine = {"RoleName": model["RoleName"]}
    found = aws.iam.get_role(**mine)["Role"]
    attached = aws.iam.list_attached_role_policies(**mine)["AttachedPolicies"]
    names = aws.iam.list_role_policies(**mine)["PolicyNames"]
    written = [aws.iam.get_role_policy(**mine, PolicyName=name) for name in names]
    return {
        "AssumeRolePolicyDocument": found["AssumeRolePolicyDocument"],
        "Description": found.get("Description"),
        "ManagedPolicyArns": [policy["PolicyArn"] for policy in attached],
        "MaxSessionDuration": found.get("MaxSessionDuration"),
        "PermissionsBoundary": found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "Policies": [
            {name: policy[name] for name in ("PolicyDocument", "PolicyName")} for policy in written
        ],
        "Tags": found.get("Tags", []),
    }


@reads("AWS::KMS::Key")
def key(aws: Any, model: Model) -> Model:
    """Read a key."""
    mine = {"KeyId": model["KeyId"]}
    found = aws.kms.describe_key(**mine)["KeyMetadata"]
    if found["KeyState"] == "PendingDeletion":
        raise GoneError(model)
    return {
        "Description": found.get("Description"),
        "EnableKeyRotation": aws.kms.get_key_rotation_status(**mine)["KeyRotationEnabled"],
        "KeyPolicy": json.loads(aws.kms.get_key_policy(**mine, PolicyName="default")["Policy"]),
    }


@reads("AWS::S3::Bucket")
def bucket(aws: Any, model: Model) -> Model:
    """Read a bucket."""
    mine = {"Bucket": model["BucketName"]}
    aws.s3.head_bucket(**mine)
    versioning = aws.s3.get_bucket_versioning(**mine)
    block = aws.s3.get_public_access_block(**mine)["PublicAccessBlockConfiguration"]
    return {
        "PublicAccessBlockConfiguration": block,
        "VersioningConfiguration": {"Status": versioning.get("Status")},
    }


@reads("AWS::ECR::Repository")
def repository(aws: Any, model: Model) -> Model:
    """Read an image repository."""
    names = [model["RepositoryName"]]
    found = only(aws.ecr.describe_repositories(repositoryNames=names)["repositories"])
    scanning = found["imageScanningConfiguration"]
    return {
        "ImageScanningConfiguration": {"ScanOnPush": scanning["scanOnPush"]},
        "ImageTagMutability": found["imageTagMutability"],
    }


@reads("AWS::EKS::Cluster")
def cluster(aws: Any, model: Model) -> Model:
    """Read a cluster."""
    found = aws.eks.describe_cluster(name=model["Name"])["cluster"]
    network = found["resourcesVpcConfig"]
    return {
        "DeletionProtection": found.get("deletionProtection"),
        "ResourcesVpcConfig": {
            "EndpointPrivateAccess": network["endpointPrivateAccess"],
            "EndpointPublicAccess": network["endpointPublicAccess"],
            "PublicAccessCidrs": network["publicAccessCidrs"],
            "SubnetIds": network["subnetIds"],
        },
        "RoleArn": found["roleArn"],
        "Version": found["version"],
    }


@reads("AWS::EKS::AccessEntry")
def access_entry(aws: Any, model: Model) -> Model:
    """Read who may enter a cluster."""
    mine = {"clusterName": model["ClusterName"], "principalArn": model["PrincipalArn"]}
    found = aws.eks.describe_access_entry(**mine)["accessEntry"]
    listed = aws.eks.list_associated_access_policies(**mine)["associatedAccessPolicies"]
    policies = []
    for policy in listed:
        scope = {"Type": policy["accessScope"]["type"]}
        if namespaces := policy["accessScope"].get("namespaces"):
            scope["Namespaces"] = namespaces
        policies.append({"PolicyArn": policy["policyArn"], "AccessScope": scope})
    return {
        "AccessPolicies": policies,
        "KubernetesGroups": found.get("kubernetesGroups", []),
        "Type": found["type"],
    }


@reads("AWS::EKS::PodIdentityAssociation")
def pod_identity(aws: Any, model: Model) -> Model:
    """Read which role the pods of a service account have."""
    mine = {"associationId": model["AssociationId"], "clusterName": model["ClusterName"]}
    found = aws.eks.describe_pod_identity_association(**mine)["association"]
    return {
        "Namespace": found["namespace"],
        "RoleArn": found["roleArn"],
        "ServiceAccount": found["serviceAccount"],
    }


@reads("AWS::EKS::Addon")
def addon(aws: Any, model: Model) -> Model:
    """Read an add-on."""
    mine = {"addonName": model["AddonName"], "clusterName": model["ClusterName"]}
    found = aws.eks.describe_addon(**mine)["addon"]
    associations = []
    for arn in found["podIdentityAssociations"]:
        one = {"associationId": arn.rsplit("/", 1)[1], "clusterName": model["ClusterName"]}
        told = aws.eks.describe_pod_identity_association(**one)["association"]
        associations.append({"RoleArn": told["roleArn"], "ServiceAccount": told["serviceAccount"]})
    return {
        "AddonVersion": found["addonVersion"],
        "ConfigurationValues": found["configurationValues"],
        "PodIdentityAssociations": associations,
    }


@reads("AWS::EKS::Nodegroup")
def node_group(aws: Any, model: Model) -> Model:
    """Read a node group."""
    mine = {"clusterName": model["ClusterName"], "nodegroupName": model["NodegroupName"]}
    found = aws.eks.describe_nodegroup(**mine)["nodegroup"]
    live = {
        name: pascal(found.get(name[0].lower() + name[1:]))
        for name in (
            *("AmiType", "CapacityType", "InstanceTypes", "NodeRepairConfig", "NodeRole"),
            *("ScalingConfig", "Subnets", "Taints", "UpdateConfig", "Version"),
        )
    }
    template = pascal(found.get("launchTemplate"))
    return live | {"Labels": found["labels"], "LaunchTemplate": template}


def pascal(value: Any) -> Any:
    """Give values of EKS in the spelling of templates."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(inner) for key, inner in value.items()}
    return [pascal(inner) for inner in value] if isinstance(value, list) else value


@reads("AWS::EC2::LaunchTemplate")
def launch_template(aws: Any, model: Model) -> Model:
    """Read the latest version of a launch template."""
    mine = {"LaunchTemplateId": model["LaunchTemplateId"], "Versions": ["$Latest"]}
    found = aws.ec2.describe_launch_template_versions(**mine)["LaunchTemplateVersions"]
    data = only(found)["LaunchTemplateData"]
    # LocalStack counts the tags of the template itself among those of its machines.
    others = [one for one in data["TagSpecifications"] if one["ResourceType"] != "launch-template"]
    return {"LaunchTemplateData": data | {"TagSpecifications": others}}


@reads("AWS::IAM::ManagedPolicy")
def managed_policy(aws: Any, model: Model) -> Model:
    """Read a policy."""
    mine = {"PolicyArn": model["PolicyArn"]}
    found = aws.iam.get_policy(**mine)["Policy"]
    version = aws.iam.get_policy_version(**mine, VersionId=found["DefaultVersionId"])
    return {"Path": found["Path"], "PolicyDocument": version["PolicyVersion"]["Document"]}


@reads("AWS::IAM::OIDCProvider")
def oidc_provider(aws: Any, model: Model) -> Model:
    """Read an identity provider."""
    found = aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=model["Arn"])
    return {"ClientIdList": found["ClientIDList"]}


@reads("AWS::IAM::RolePolicy")
def role_policy(aws: Any, model: Model) -> Model:
    """Read a policy of a role."""
    names = {name: model[name] for name in ("PolicyName", "RoleName")}
    return {"PolicyDocument": aws.iam.get_role_policy(**names)["PolicyDocument"]}


@reads("AWS::KMS::Alias")
def alias(aws: Any, model: Model) -> Model:
    """Read a key's name."""
    pages = aws.kms.get_paginator("list_aliases").paginate()
    every = [one for page in pages for one in page["Aliases"]]
    mine = [one for one in every if one["AliasName"] == model["AliasName"]]
    return {"TargetKeyId": only(mine)["TargetKeyId"]}


@reads("AWS::S3::BucketPolicy")
def bucket_policy(aws: Any, model: Model) -> Model:
    """Read who may do what to a bucket."""
    found = aws.s3.get_bucket_policy(Bucket=model["Bucket"])
    return {"PolicyDocument": json.loads(found["Policy"])}
