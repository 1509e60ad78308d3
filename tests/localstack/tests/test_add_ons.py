"""The stack of add-ons, read back through EKS and IAM."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stacks import Result, Stacks, template
from test_drift import detect, drifted

NAME = "orders-added-add-ons"
CLUSTER = {"clusterName": "orders-added"}
KEY = "arn:aws:kms:eu-west-1:000000000000:key/0"
PARAMETERS = {
    "Project": "orders",
    "Environment": "added",
    "ClusterName": "orders-added",
    "DataKeyArn": KEY,
}

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def cluster(aws: Clients) -> Iterator[dict[str, str]]:
    """Make a cluster; give what a node group in it needs."""
    ec2, eks = aws("ec2"), aws("eks")
    vpc = ec2.create_vpc(CidrBlock="10.6.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.6.{index}.0/24", AvailabilityZone=zone)
        for index, zone in enumerate(("eu-west-1a", "eu-west-1b"))
    ]
    identifiers = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    role = "arn:aws:iam::000000000000:role/cluster"
    network = {"subnetIds": identifiers}
    eks.create_cluster(name="orders-added", roleArn=role, resourcesVpcConfig=network)
    yield {"nodegroupName": "nodes", "subnets": identifiers, "nodeRole": role}
    eks.delete_nodegroup(**CLUSTER, nodegroupName="nodes")
    eks.delete_cluster(name="orders-added")
    for identifier in identifiers:
        ec2.delete_subnet(SubnetId=identifier)
    ec2.delete_vpc(VpcId=vpc)


@pytest.fixture(scope="module")
def added(aws: Clients, stacks: Stacks, cluster: dict[str, str]) -> Iterator[Result]:
    early = stacks.deploy(NAME, template("add-ons"), **PARAMETERS)
    assert early.status == "ROLLBACK_COMPLETE"
    assert any("coredns is DEGRADED" in reason for reason in early.reasons)
    assert aws("eks").list_addons(**CLUSTER)["addons"] == []
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    aws("eks").create_nodegroup(**CLUSTER, **cluster)
    result = stacks.deploy(NAME, template("add-ons"), **PARAMETERS)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    assert aws("eks").list_addons(**CLUSTER)["addons"] == []
    assert aws("eks").list_pod_identity_associations(**CLUSTER)["associations"] == []


def addon(aws: Clients, name: str) -> dict[str, Any]:
    return aws("eks").describe_addon(**CLUSTER, addonName=name)["addon"]


def test_names_are_answered_in_every_zone(aws: Clients, added: Result) -> None:  # noqa: ARG001
    found = addon(aws, "coredns")
    assert (found["status"], found["tags"]["Project"]) == ("ACTIVE", "orders")
    values = json.loads(found["configurationValues"])
    assert values["autoScaling"]["minReplicas"] == 3
    assert values["topologySpreadConstraints"][0]["topologyKey"] == "topology.kubernetes.io/zone"


def test_volumes_are_backed_up_and_encrypted_by_the_data_key(aws: Clients, added: Result) -> None:
    found = addon(aws, "aws-ebs-csi-driver")
    values = json.loads(found["configurationValues"])
    tags = values["controller"]["extraVolumeTags"]
    assert tags == {"Project": "orders", "Environment": "added", "Backup": "daily"}
    assert values["node"]["tolerateAllTaints"] is True
    (identity,) = aws("eks").list_pod_identity_associations(**CLUSTER)["associations"]
    assert identity["serviceAccount"] == "ebs-csi-controller-sa"
    mine = {"associationId": identity["associationId"]}
    told = aws("eks").describe_pod_identity_association(**CLUSTER, **mine)["association"]
    assert told["roleArn"] == added.outputs["EbsCsiDriverRoleArn"]
    role = {"RoleName": told["roleArn"].rsplit("/", 1)[1]}
    iam = aws("iam")
    attached = iam.list_attached_role_policies(**role)["AttachedPolicies"]
    assert [one["PolicyName"] for one in attached] == ["AmazonEBSCSIDriverPolicy"]
    policy = iam.get_role_policy(**role, PolicyName="encrypt-volumes")["PolicyDocument"]
    assert {one["Resource"] for one in policy["Statement"]} == {KEY}
    grants = next(one for one in policy["Statement"] if "kms:CreateGrant" in one["Action"])
    assert grants["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


@pytest.mark.usefixtures("added")
def test_versions_change_in_place(aws: Clients, stacks: Stacks) -> None:
    same = stacks.propose(NAME, template("add-ons"), **PARAMETERS)
    assert "didn't contain changes" in same["StatusReason"]
    given = {"CoreDnsVersion": "v1.14.0-eksbuild.1"}
    changed = stacks.deploy(NAME, template("add-ons"), **PARAMETERS, **given)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    assert [one["LogicalResourceId"] for one in changed.changes] == ["CoreDns"]
    assert addon(aws, "coredns")["addonVersion"] == "v1.14.0-eksbuild.1"
    client = aws("cloudformation")
    assert drifted(detect(client, NAME)) == {}
    other = {"addonName": "coredns", "addonVersion": "v1.12.0-eksbuild.1"}
    aws("eks").update_addon(**CLUSTER, **other, configurationValues="{}")
    assert [path for _, path, *_ in drifted(detect(client, NAME))["CoreDns"]] == [
        "/AddonVersion",
        "/ConfigurationValues",
    ]
    back = stacks.deploy(NAME, template("add-ons"), **PARAMETERS)
    assert (back.status, back.reasons) == ("UPDATE_COMPLETE", [])
