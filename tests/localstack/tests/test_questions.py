"""What is asked beside the stacks: quotas, versions, and what stands against an upgrade."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

Clients = Callable[[str], Any]

CLUSTER = {"clusterName": "orders-asked"}
PROCESSORS = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}


def asked(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    """Call an operation; its answer must be what the service's model says, and nothing besides."""
    method = client.meta.method_to_api_mapping
    answer = getattr(client, operation)(**parameters)
    del answer["ResponseMetadata"]
    shape = client.meta.service_model.operation_model(method[operation]).output_shape
    report = ParamValidator().validate(answer, shape)
    assert not report.has_errors(), report.generate_report()
    assert answer
    return answer


@pytest.fixture(scope="module")
def cluster(aws: Clients) -> Iterator[dict[str, Any]]:
    """Make a cluster of an old minor; give what a node group in it needs."""
    ec2, eks = aws("ec2"), aws("eks")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{index}.0/24", AvailabilityZone=zone)
        for index, zone in enumerate(("eu-west-1a", "eu-west-1b"))
    ]
    identifiers = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    role = "arn:aws:iam::000000000000:role/cluster"
    network = {"subnetIds": identifiers}
    eks.create_cluster(
        name="orders-asked", version="1.34", roleArn=role, resourcesVpcConfig=network
    )
    yield {"nodegroupName": "nodes", "subnets": identifiers, "nodeRole": role}
    eks.delete_cluster(name="orders-asked")
    for identifier in identifiers:
        ec2.delete_subnet(SubnetId=identifier)
    ec2.delete_vpc(VpcId=vpc)


def test_a_quota_is_the_default_until_more_is_granted(aws: Clients) -> None:
    quotas = aws("service-quotas")
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        quotas.get_service_quota(**PROCESSORS)
    default = asked(quotas, "get_aws_default_service_quota", **PROCESSORS)["Quota"]
    assert default["Value"] == 5.0
    more = {**PROCESSORS, "DesiredValue": 32.0}
    request = asked(quotas, "request_service_quota_increase", **more)["RequestedQuota"]
    assert request["Status"] == "APPROVED"
    assert asked(quotas, "get_service_quota", **PROCESSORS)["Quota"]["Value"] == 32.0
    with pytest.raises(ClientError, match="greater than the current"):
        quotas.request_service_quota_increase(**more)
    with pytest.raises(ClientError, match="does not exist"):
        quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")


def test_versions_of_add_ons_fit_minors(aws: Clients) -> None:
    eks = aws("eks")
    question = {"addonName": "coredns", "kubernetesVersion": "1.34"}
    (addon,) = asked(eks, "describe_addon_versions", **question)["addons"]
    versions = [one["addonVersion"] for one in addon["addonVersions"]]
    assert versions == ["v1.13.1-eksbuild.1", "v1.12.1-eksbuild.2"]
    defaults = [
        one["addonVersion"]
        for one in addon["addonVersions"]
        for fits in one["compatibilities"]
        if fits["clusterVersion"] == "1.34" and fits["defaultVersion"]
    ]
    assert defaults == ["v1.13.1-eksbuild.1"]
    assert len(asked(eks, "describe_addon_versions")["addons"]) == 5
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        eks.describe_addon_versions(addonName="nothing")


def test_support_ends_as_time_goes_by(aws: Clients) -> None:
    eks = aws("eks")
    found = asked(eks, "describe_cluster_versions", includeAll=True)["clusterVersions"]
    statuses = [one["versionStatus"] for one in found]
    assert statuses == ["STANDARD_SUPPORT"] * 4 + ["EXTENDED_SUPPORT"] * 3 + ["UNSUPPORTED"]
    assert [one["clusterVersion"] for one in found if one["defaultVersion"]] == ["1.35"]
    supported = asked(eks, "describe_cluster_versions")["clusterVersions"]
    assert [one["clusterVersion"] for one in supported] == [
        one["clusterVersion"] for one in found[:7]
    ]


def test_what_does_not_fit_the_next_minor_stands_against_the_upgrade(
    aws: Clients, cluster: dict[str, Any]
) -> None:
    eks = aws("eks")

    def statuses() -> dict[str, str]:
        found = asked(eks, "list_insights", **CLUSTER)["insights"]
        return {one["name"]: one["insightStatus"]["status"] for one in found}

    addons, nodes = "EKS add-on version compatibility", "Kubelet version skew"
    assert statuses() == {addons: "PASSING", nodes: "PASSING"}
    eks.create_nodegroup(**CLUSTER, **cluster, version="1.31")
    eks.create_addon(**CLUSTER, addonName="coredns", addonVersion="v1.12.1-eksbuild.2")
    assert statuses() == {addons: "ERROR", nodes: "ERROR"}
    found = asked(eks, "list_insights", **CLUSTER, filter={"statuses": ["ERROR"]})["insights"]
    insight = asked(eks, "describe_insight", **CLUSTER, id=found[0]["id"])["insight"]
    assert (insight["kubernetesVersion"], insight["category"]) == ("1.35", "UPGRADE_READINESS")
    assert insight["insightStatus"]["reason"] == "coredns v1.12.1-eksbuild.2 does not fit 1.35"
    assert insight["resources"][0]["arn"].startswith("arn:aws:eks:eu-west-1:")
    eks.update_addon(**CLUSTER, addonName="coredns", addonVersion="v1.13.1-eksbuild.1")
    eks.update_nodegroup_version(**CLUSTER, nodegroupName="nodes", version="1.33")
    assert statuses() == {addons: "PASSING", nodes: "WARNING"}
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        eks.describe_insight(**CLUSTER, id="nothing")
    eks.delete_addon(**CLUSTER, addonName="coredns")
    eks.delete_nodegroup(**CLUSTER, nodegroupName="nodes")
