"""Drift: what was changed beside CloudFormation is found, and nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks import Stacks, template

Clients = Callable[[str], Any]

WHO = {"Project": "drift", "Environment": "test"}
LAYERS = ("network", "data", "cluster")


@pytest.fixture(scope="module")
def outputs(stacks: Stacks) -> Iterator[dict[str, dict[str, str]]]:
    made: dict[str, dict[str, str]] = {}
    for name in LAYERS:
        subnets = made.get("network", {}).get("ApplicationSubnetIds", "")
        given = {"ApplicationSubnetIds": subnets} if name == "cluster" else {}
        result = stacks.deploy(f"drift-{name}", template(name), **WHO, **given)
        assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
        made[name] = result.outputs
    yield made
    for name in reversed(LAYERS):
        assert stacks.delete(f"drift-{name}") == "DELETE_COMPLETE"


def detect(client: Any, name: str) -> dict[str, dict[str, Any]]:
    """Detect drift, and give what was looked at by logical id."""
    detection = client.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
    told = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    assert told["DetectionStatus"] == "DETECTION_COMPLETE"
    found = client.describe_stack_resource_drifts(StackName=name)["StackResourceDrifts"]
    drifted = [one for one in found if one["StackResourceDriftStatus"] != "IN_SYNC"]
    assert told["DriftedStackResourceCount"] == len(drifted)
    assert told["StackDriftStatus"] == ("DRIFTED" if drifted else "IN_SYNC")
    return {one["LogicalResourceId"]: one for one in found}


def drifted(found: dict[str, dict[str, Any]]) -> dict[str, list[tuple[str, str, str, str]]]:
    """Give what is not what it should be, with its differences."""
    keys = ("DifferenceType", "PropertyPath", "ExpectedValue", "ActualValue")
    return {
        name: [tuple(one[key] for key in keys) for one in resource.get("PropertyDifferences", [])]
        for name, resource in found.items()
        if resource["StackResourceDriftStatus"] != "IN_SYNC"
    }


@pytest.mark.parametrize("layer", LAYERS)
def test_what_was_just_made_is_in_sync(
    aws: Clients,
    stacks: Stacks,
    outputs: dict[str, dict[str, str]],  # noqa: ARG001
    layer: str,
) -> None:
    found = detect(aws("cloudformation"), f"drift-{layer}")
    assert drifted(found) == {}
    types = {one["ResourceType"] for one in stacks.resources(f"drift-{layer}").values()}
    unchecked = types - {one["ResourceType"] for one in found.values()}
    assert (
        unchecked
        == {
            "network": {"AWS::EC2::VPCGatewayAttachment"},
            "data": {
                f"AWS::Backup::{kind}" for kind in ("BackupPlan", "BackupSelection", "BackupVault")
            },
            "cluster": set(),
        }[layer]
    )


def test_what_was_changed_and_deleted_by_hand_is_found(
    aws: Clients, stacks: Stacks, outputs: dict[str, dict[str, str]]
) -> None:
    ec2, resources = aws("ec2"), stacks.resources("drift-network")
    aws("logs").put_retention_policy(logGroupName="/aws/vpc/drift-test", retentionInDays=7)
    subnet = resources["PublicSubnetA"]["PhysicalResourceId"]
    ec2.create_tags(Resources=[subnet], Tags=[{"Key": "Tier", "Value": "private"}])
    ec2.delete_vpc_endpoints(VpcEndpointIds=[resources["S3Endpoint"]["PhysicalResourceId"]])
    ec2.delete_route(
        RouteTableId=resources["PrivateRouteTableB"]["PhysicalResourceId"],
        DestinationCidrBlock="0.0.0.0/0",
    )
    found = detect(aws("cloudformation"), "drift-network")
    differences = drifted(found)
    tags = differences.pop("PublicSubnetA")
    assert [(kind, path.rsplit("/", 1)[0]) for kind, path, *_ in tags] == [
        ("REMOVE", "/Tags"),
        ("ADD", "/Tags"),
    ]
    assert differences == {
        "FlowLogGroup": [("NOT_EQUAL", "/RetentionInDays", "90", "7")],
        "PrivateDefaultRouteB": [],
        "S3Endpoint": [],
    }
    assert found["S3Endpoint"]["StackResourceDriftStatus"] == "DELETED"
    bucket = {"Bucket": outputs["data"]["WalBucketName"]}
    aws("s3").put_public_access_block(
        **bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": False,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    path = "/PublicAccessBlockConfiguration/BlockPublicAcls"
    assert drifted(detect(aws("cloudformation"), "drift-data")) == {
        "WalBucket": [("NOT_EQUAL", path, "true", "false")]
    }
    who = outputs["cluster"]["DeployRoleArn"]
    entry = {"clusterName": "drift-test", "principalArn": who}
    aws("eks").update_access_entry(**entry, kubernetesGroups=["admins"])
    assert drifted(detect(aws("cloudformation"), "drift-cluster")) == {
        "DeployAccess": [
            ("REMOVE", "/KubernetesGroups/0", "deployers", "null"),
            ("ADD", "/KubernetesGroups/0", "null", "admins"),
        ]
    }


def test_a_stack_that_is_not_there_is_named(aws: Clients) -> None:
    with pytest.raises(ClientError, match=r"Stack \[nowhere\] does not exist"):
        aws("cloudformation").detect_stack_drift(StackName="nowhere")
