"""The stack of the zone, read back through Route 53 and the DNS."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import dns.message
import dns.query
import dns.rcode
import pytest

from stacks import Result, Stacks, template
from test_drift import detect, drifted

ZONE = "orders-named-zone"
WHO = {"Project": "orders", "Environment": "named"}
NAMED = {**WHO, "ZoneName": "example.net"}

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def zone(aws: Clients, stacks: Stacks) -> Iterator[Result]:
    result = stacks.deploy(ZONE, template("zone"), **NAMED)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(ZONE) == "DELETE_COMPLETE"
    route53, mine = aws("route53"), {"Id": result.outputs["HostedZoneId"]}
    assert route53.get_hosted_zone(**mine)["HostedZone"]["Name"] == "example.net."
    route53.delete_hosted_zone(**mine)


def test_the_zone_is_public_and_tells_its_name_servers(aws: Clients, zone: Result) -> None:
    route53, mine = aws("route53"), zone.outputs["HostedZoneId"]
    found = route53.get_hosted_zone(Id=mine)
    assert found["HostedZone"]["Config"] == {
        "Comment": "Names of orders-named",
        "PrivateZone": False,
    }
    assert zone.outputs["NameServers"].split(",") == found["DelegationSet"]["NameServers"]
    tags = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=mine)
    told = {tag["Key"]: tag["Value"] for tag in tags["ResourceTagSet"]["Tags"]}
    assert told == {"Name": "orders-named", "Project": "orders"}


def test_the_world_asks_the_zone(zone: Result, endpoint: str) -> None:
    def servers(name: str) -> tuple[str, list[str]]:
        question, where = dns.message.make_query(name, "NS"), urlsplit(endpoint)
        told = dns.query.udp(question, "127.0.0.1", port=where.port or 0, timeout=5)
        found = [str(record).removesuffix(".") for answer in told.answer for record in answer]
        return dns.rcode.to_text(told.rcode()), found

    assert servers("example.net") == ("NOERROR", zone.outputs["NameServers"].split(","))
    assert servers("orders.example.net") == ("NOERROR", [])
    assert servers("badexample.net") == ("NXDOMAIN", [])


@pytest.mark.usefixtures("zone")
def test_nothing_changes_when_nothing_is_changed(stacks: Stacks) -> None:
    same = stacks.propose(ZONE, template("zone"), **NAMED)
    assert "didn't contain changes" in same["StatusReason"]


@pytest.mark.usefixtures("zone")
def test_a_zone_of_another_name_is_another_zone(aws: Clients, stacks: Stacks) -> None:
    other = stacks.propose(ZONE, template("zone"), **WHO, ZoneName="example.edu")
    (change,) = [one["ResourceChange"] for one in other["Changes"]]
    assert (change["LogicalResourceId"], change["Replacement"]) == ("Zone", "True")
    aws("cloudformation").delete_change_set(ChangeSetName=other["ChangeSetId"])


def test_drift_of_the_zone_is_found(aws: Clients, zone: Result) -> None:
    client, mine = aws("cloudformation"), {"Id": zone.outputs["HostedZoneId"]}
    assert drifted(detect(client, ZONE)) == {}
    aws("route53").update_hosted_zone_comment(**mine, Comment="Somebody's")
    assert drifted(detect(client, ZONE)) == {
        "Zone": [
            ("NOT_EQUAL", "/HostedZoneConfig/Comment", "Names of orders-named", "Somebody's"),
        ]
    }
    aws("route53").update_hosted_zone_comment(**mine, Comment="Names of orders-named")
