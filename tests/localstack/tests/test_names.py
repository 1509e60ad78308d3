"""The stacks of the zone and the certificate, read back through Route 53 and ACM."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import dns.message
import dns.query
import dns.rcode
import pytest

from stacks import Result, Stacks, template
from test_drift import detect, drifted

ZONE, CERTIFICATE = "orders-named-zone", "orders-named-certificate"
WHO = {"Project": "orders", "Environment": "named"}
DOMAINS = {"Domain1": "orders.example.net", "Domain2": "api.orders.example.net"}
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
    for record in records(aws, result):
        if record["Type"] == "CNAME":
            changes = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
            route53.change_resource_record_sets(HostedZoneId=mine["Id"], ChangeBatch=changes)
    route53.delete_hosted_zone(**mine)


@pytest.fixture(scope="module")
def parameters(zone: Result) -> dict[str, str]:
    return {**WHO, **DOMAINS, "HostedZoneId": zone.outputs["HostedZoneId"]}


@pytest.fixture(scope="module")
def certificate(aws: Clients, stacks: Stacks, parameters: dict[str, str]) -> Iterator[Result]:
    result = stacks.deploy(CERTIFICATE, template("certificate"), **parameters)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(CERTIFICATE) == "DELETE_COMPLETE"
    listed = aws("acm").list_certificates()["CertificateSummaryList"]
    assert [one for one in listed if one["DomainName"] == DOMAINS["Domain1"]] == []


def records(aws: Clients, zone: Result) -> list[dict[str, Any]]:
    mine = {"HostedZoneId": zone.outputs["HostedZoneId"]}
    return aws("route53").list_resource_record_sets(**mine)["ResourceRecordSets"]


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


def test_the_certificate_is_validated_in_the_zone(
    aws: Clients, zone: Result, certificate: Result
) -> None:
    arn = {"CertificateArn": certificate.outputs["CertificateArn"]}
    found = aws("acm").describe_certificate(**arn)["Certificate"]
    assert (found["Status"], found["DomainName"]) == ("ISSUED", DOMAINS["Domain1"])
    assert sorted(found["SubjectAlternativeNames"]) == sorted(DOMAINS.values())
    asked = {one["ResourceRecord"]["Name"] for one in found["DomainValidationOptions"]}
    assert len(asked) == len(DOMAINS)
    assert {one["Name"] for one in records(aws, zone) if one["Type"] == "CNAME"} == asked
    tags = aws("acm").list_tags_for_certificate(**arn)["Tags"]
    assert {"Key": "Name", "Value": "orders-named"} in tags


@pytest.mark.usefixtures("certificate")
def test_nothing_changes_when_nothing_is_changed(
    stacks: Stacks, parameters: dict[str, str]
) -> None:
    same = [
        stacks.propose(ZONE, template("zone"), **NAMED),
        stacks.propose(CERTIFICATE, template("certificate"), **parameters),
    ]
    assert ["didn't contain changes" in one["StatusReason"] for one in same] == [True, True]


@pytest.mark.usefixtures("certificate")
def test_another_name_makes_another_certificate(
    aws: Clients, stacks: Stacks, parameters: dict[str, str]
) -> None:
    body, more = template("certificate"), {"Domain3": "www.orders.example.net"}
    changed = stacks.deploy(CERTIFICATE, body, **parameters, **more)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    assert [one["Replacement"] for one in changed.changes] == ["True"]
    arn = {"CertificateArn": changed.outputs["CertificateArn"]}
    found = aws("acm").describe_certificate(**arn)["Certificate"]
    assert "www.orders.example.net" in found["SubjectAlternativeNames"]
    back = stacks.deploy(CERTIFICATE, body, **parameters)
    assert (back.status, back.reasons) == ("UPDATE_COMPLETE", [])


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
