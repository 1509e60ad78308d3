"""The network stack, read back through the APIs of the services that hold its resources."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stacks import Result, Stacks, template

NAME = "orders-test-network"
TIERS = ("public", "application", "database", "admin")
WHO = {"Project": "orders", "Environment": "test"}

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def network(stacks: Stacks) -> Iterator[Result]:
    result = stacks.deploy(NAME, template("network"), **WHO)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(NAME) == "DELETE_COMPLETE"


def of_vpc(network: Result) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [network.outputs["VpcId"]]}]


def tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"]}


def test_every_resource_has_an_identifier(stacks: Stacks, network: Result) -> None:
    resources = stacks.resources(NAME)
    assert len(resources) == len(network.changes) == 45
    for resource in resources.values():
        assert resource["ResourceStatus"] == "CREATE_COMPLETE"
        assert resource["PhysicalResourceId"] not in ("", "unknown")


def test_the_vpc_has_names(aws: Clients, network: Result) -> None:
    ec2, vpc = aws("ec2"), network.outputs["VpcId"]
    found = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    assert found["CidrBlock"] == "10.40.0.0/16"
    assert tags(found) == {"Name": "orders-test", "Project": "orders"}
    for attribute in ("enableDnsHostnames", "enableDnsSupport"):
        value = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
        assert value[attribute[0].upper() + attribute[1:]]["Value"] is True


def test_there_are_four_subnets_in_each_of_three_zones(aws: Clients, network: Result) -> None:
    subnets = aws("ec2").describe_subnets(Filters=of_vpc(network))["Subnets"]
    places = sorted((subnet["AvailabilityZone"], tags(subnet)["Tier"]) for subnet in subnets)
    zones = [f"eu-west-1{zone}" for zone in "abc"]
    assert places == sorted((zone, tier) for zone in zones for tier in TIERS)
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    networks = {subnet["CidrBlock"] for subnet in subnets}
    assert networks == {f"10.40.{16 * index}.0/20" for index in range(12)}
    for tier in TIERS:
        listed = network.outputs[f"{tier.capitalize()}SubnetIds"].split(",")
        in_order = sorted(
            (subnet for subnet in subnets if tags(subnet)["Tier"] == tier),
            key=lambda subnet: subnet["AvailabilityZone"],
        )
        assert listed == [subnet["SubnetId"] for subnet in in_order]


def test_public_subnets_lead_to_the_internet_and_the_others_through_their_zones_gateway(
    aws: Clients, network: Result
) -> None:
    ec2 = aws("ec2")
    gateways = ec2.describe_nat_gateways(Filters=of_vpc(network))["NatGateways"]
    assert [gateway["State"] for gateway in gateways] == ["available"] * 3
    addresses = [gateway["NatGatewayAddresses"][0]["PublicIp"] for gateway in gateways]
    assert sorted(addresses) == sorted(network.outputs["NatAddresses"].split(","))
    subnets = {
        subnet["SubnetId"]: subnet
        for subnet in ec2.describe_subnets(Filters=of_vpc(network))["Subnets"]
    }
    zone_of = {
        gateway["NatGatewayId"]: subnets[gateway["SubnetId"]]["AvailabilityZone"]
        for gateway in gateways
    }
    seen = 0
    for table in ec2.describe_route_tables(Filters=of_vpc(network))["RouteTables"]:
        default = [
            route
            for route in table["Routes"]
            if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route["State"] == "active"
        ]
        for association in table["Associations"]:
            if association["Main"]:
                continue
            seen += 1
            subnet = subnets[association["SubnetId"]]
            if tags(subnet)["Tier"] == "public":
                assert default[0]["GatewayId"].startswith("igw-")
            else:
                assert zone_of[default[0]["NatGatewayId"]] == subnet["AvailabilityZone"]
    assert seen == len(subnets) == 12


def test_the_internet_gateway_is_attached(aws: Clients, network: Result) -> None:
    here = [{"Name": "attachment.vpc-id", "Values": [network.outputs["VpcId"]]}]
    gateways = aws("ec2").describe_internet_gateways(Filters=here)["InternetGateways"]
    assert [tags(gateway)["Name"] for gateway in gateways] == ["orders-test"]


def test_s3_is_reached_without_the_nat_gateways(
    aws: Clients, stacks: Stacks, network: Result
) -> None:
    endpoints = aws("ec2").describe_vpc_endpoints(Filters=of_vpc(network))["VpcEndpoints"]
    assert [endpoint["ServiceName"] for endpoint in endpoints] == ["com.amazonaws.eu-west-1.s3"]
    resources = stacks.resources(NAME)
    private = [resources[f"PrivateRouteTable{zone}"]["PhysicalResourceId"] for zone in "ABC"]
    assert sorted(endpoints[0]["RouteTableIds"]) == sorted(private)


def test_flow_logs_are_written_and_kept_for_a_while(aws: Clients, network: Result) -> None:
    here = [{"Name": "resource-id", "Values": [network.outputs["VpcId"]]}]
    (flow_log,) = aws("ec2").describe_flow_logs(Filters=here)["FlowLogs"]
    assert flow_log["TrafficType"] == "ALL"
    assert flow_log["LogGroupName"] == "/aws/vpc/orders-test"
    (group,) = aws("logs").describe_log_groups(logGroupNamePrefix="/aws/vpc/orders-test")[
        "logGroups"
    ]
    assert group["retentionInDays"] == 90
    role = flow_log["DeliverLogsPermissionArn"].rsplit("/", 1)[1]
    policy = aws("iam").get_role_policy(RoleName=role, PolicyName="write-flow-logs")
    statement = policy["PolicyDocument"]["Statement"][0]
    assert statement["Resource"] == group["arn"]
    assert "logs:CreateLogGroup" not in statement["Action"]


def test_nothing_changes_when_nothing_has_changed(stacks: Stacks, network: Result) -> None:  # noqa: ARG001
    change_set = stacks.propose(NAME, template("network"), **WHO)
    assert change_set["Status"] == "FAILED"
    assert "didn't contain changes" in change_set["StatusReason"]


def test_a_change_is_made_for_real(aws: Clients, stacks: Stacks, network: Result) -> None:
    body = template("network").replace(
        "{ Key: Tier, Value: database }", "{ Key: Tier, Value: data }"
    )
    result = stacks.deploy(NAME, body, **WHO, FlowLogRetentionDays="30")
    assert result.status == "UPDATE_COMPLETE"
    changed = {change["LogicalResourceId"]: change["Replacement"] for change in result.changes}
    assert changed["FlowLogGroup"] == changed["DatabaseSubnetA"] == "False"
    (group,) = aws("logs").describe_log_groups(logGroupNamePrefix="/aws/vpc/orders-test")[
        "logGroups"
    ]
    assert group["retentionInDays"] == 30
    subnets = aws("ec2").describe_subnets(Filters=of_vpc(network))["Subnets"]
    assert sum(tags(subnet)["Tier"] == "data" for subnet in subnets) == 3
    back = stacks.deploy(NAME, template("network"), **WHO)
    assert back.status == "UPDATE_COMPLETE"


def test_a_single_gateway_serves_all_zones_and_nothing_is_left_after_it(
    aws: Clients, stacks: Stacks
) -> None:
    name = "shop-test-network"
    ec2 = aws("ec2")
    result = stacks.deploy(
        name, template("network"), Project="shop", Environment="test", NatMode="single"
    )
    assert result.status == "CREATE_COMPLETE"
    gateways = ec2.describe_nat_gateways(Filters=of_vpc(result))["NatGateways"]
    assert [tags(gateway)["Name"] for gateway in gateways] == ["shop-test-a"]
    tables = ec2.describe_route_tables(Filters=of_vpc(result))["RouteTables"]
    routes = [route for table in tables for route in table["Routes"] if "NatGatewayId" in route]
    assert {route["NatGatewayId"] for route in routes} == {gateways[0]["NatGatewayId"]}
    assert len(routes) == 3
    who = {"Project": "shop", "Environment": "test"}
    more = stacks.deploy(name, template("network"), **who, NatMode="per-zone")
    assert (more.status, more.reasons) == ("UPDATE_COMPLETE", [])
    here = [*of_vpc(result), {"Name": "state", "Values": ["available"]}]
    assert len(ec2.describe_nat_gateways(Filter=here)["NatGateways"]) == 3
    assert len(more.outputs["NatAddresses"].split(",")) == 3
    less = stacks.deploy(name, template("network"), **who, NatMode="single")
    assert (less.status, less.reasons) == ("UPDATE_COMPLETE", [])
    assert len(ec2.describe_nat_gateways(Filter=here)["NatGateways"]) == 1
    addresses = result.outputs["NatAddresses"]
    assert less.outputs["NatAddresses"] == addresses
    assert stacks.delete(name) == "DELETE_COMPLETE"
    assert not ec2.describe_vpcs(Filters=of_vpc(result))["Vpcs"]
    assert not ec2.describe_subnets(Filters=of_vpc(result))["Subnets"]
    assert not ec2.describe_route_tables(Filters=of_vpc(result))["RouteTables"]
    left = ec2.describe_nat_gateways(Filters=of_vpc(result))["NatGateways"]
    assert all(gateway["State"] == "deleted" for gateway in left)
    every = ec2.describe_addresses()["Addresses"]
    assert addresses not in {address["PublicIp"] for address in every}
    assert not aws("logs").describe_log_groups(logGroupNamePrefix="/aws/vpc/shop")["logGroups"]
