"""What LocalStack would take for success, and must fail."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks import Stacks

Clients = Callable[[str], Any]


def one(kind: str, **properties: Any) -> str:
    lines = [f"      {name}: {value}" for name, value in properties.items()]
    return "\n".join(["Resources:", "  One:", f"    Type: {kind}", "    Properties:", *lines])


def test_a_type_that_is_not_known_is_refused_before_anything_changes(stacks: Stacks) -> None:
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::DAX::Cluster\]"):
        stacks.propose("unknown", one("AWS::DAX::Cluster", NodeType="dax.t3.small"))
    assert not stacks.exists("unknown")


def test_a_property_that_would_be_ignored_fails_the_stack(aws: Clients, stacks: Stacks) -> None:
    body = one("AWS::EC2::VPC", CidrBlock="10.9.0.0/16", Ipv4IpamPoolId="ipam-pool-1")
    result = stacks.deploy("ignored", body)
    assert result.status == "ROLLBACK_COMPLETE"
    assert any("Ipv4IpamPoolId" in reason for reason in result.reasons)
    vpcs = aws("ec2").describe_vpcs()["Vpcs"]
    assert not [vpc for vpc in vpcs if vpc["CidrBlock"] == "10.9.0.0/16"]


def test_what_was_made_before_a_failure_is_removed(aws: Clients, stacks: Stacks) -> None:
    body = one("AWS::Logs::LogGroup", LogGroupName="/made/first")
    body += (
        "\n  Two:\n    Type: AWS::EC2::Subnet\n    DependsOn: One"
        "\n    Properties: {VpcId: vpc-0000, CidrBlock: 10.0.0.0/24}"
    )
    result = stacks.deploy("half", body)
    assert result.status == "ROLLBACK_COMPLETE"
    assert any("vpc-0000" in reason for reason in result.reasons)
    assert not aws("logs").describe_log_groups(logGroupNamePrefix="/made/")["logGroups"]

    assert stacks.delete("half") == "DELETE_COMPLETE"


def test_a_failed_update_leaves_everything_as_it_was(aws: Clients, stacks: Stacks) -> None:
    group = one("AWS::Logs::LogGroup", LogGroupName="/before", RetentionInDays="7")
    assert stacks.deploy("undone", group).status == "CREATE_COMPLETE"
    added = "\n  Three:\n    Type: AWS::Logs::LogGroup\n    DependsOn: One"
    added += "\n    Properties: {LogGroupName: /added}"
    fails = "\n  Two:\n    Type: AWS::EC2::Subnet\n    DependsOn: Three"
    fails += "\n    Properties: {VpcId: vpc-0000, CidrBlock: 10.0.0.0/24}"
    changed = one("AWS::Logs::LogGroup", LogGroupName="/before", RetentionInDays="14")
    result = stacks.deploy("undone", changed + added + fails)
    assert result.status == "UPDATE_ROLLBACK_COMPLETE"
    logs = aws("logs")
    (left,) = logs.describe_log_groups(logGroupNamePrefix="/before")["logGroups"]
    assert left["retentionInDays"] == 7
    assert not logs.describe_log_groups(logGroupNamePrefix="/added")["logGroups"]
    assert list(stacks.resources("undone")) == ["One"]
    assert stacks.propose("undone", group)["Status"] == "FAILED"
    assert stacks.deploy("undone", changed).status == "UPDATE_COMPLETE"
    assert stacks.delete("undone") == "DELETE_COMPLETE"


def test_an_update_that_cannot_be_made_fails(stacks: Stacks) -> None:
    stock = one("AWS::SSM::MaintenanceWindow", Name="night", Duration="2", Cutoff="1")
    body = stock + "\n      AllowUnassociatedTargets: false\n      Schedule: rate(7 days)"
    assert stacks.deploy("update", body).status == "CREATE_COMPLETE"
    result = stacks.deploy("update", body.replace("rate(7 days)", "rate(9 days)"))
    assert result.status == "UPDATE_ROLLBACK_COMPLETE"
    assert any("cannot change AWS::SSM::MaintenanceWindow" in why for why in result.reasons)
    assert stacks.delete("update") == "DELETE_COMPLETE"


def test_a_stack_whose_resource_cannot_be_removed_is_not_gone(aws: Clients, stacks: Stacks) -> None:
    vpc = one("AWS::EC2::VPC", CidrBlock="10.8.0.0/16")
    body = vpc + "\nOutputs: {VpcId: {Value: !Ref One}}"
    outputs = stacks.deploy("inhabited", body).outputs
    ec2 = aws("ec2")
    subnet = ec2.create_subnet(VpcId=outputs["VpcId"], CidrBlock="10.8.0.0/24")["Subnet"]
    assert stacks.delete("inhabited") == "DELETE_FAILED"
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    assert stacks.delete("inhabited") == "DELETE_COMPLETE"


def test_a_protected_stack_is_not_deleted(aws: Clients, stacks: Stacks) -> None:
    stacks.deploy("kept", one("AWS::Logs::LogGroup", LogGroupName="/kept"))
    client = aws("cloudformation")
    client.update_termination_protection(StackName="kept", EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection"):
        stacks.delete("kept")
    client.update_termination_protection(StackName="kept", EnableTerminationProtection=False)
    assert stacks.delete("kept") == "DELETE_COMPLETE"
