"""The stack of the edge, read back through ELB, Route 53, ACM, WAF, EC2 and S3."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stacks import Result, Stacks, template
from test_drift import detect, drifted

NAME = "orders-shown-edge"
WHO = {"Project": "orders", "Environment": "shown"}
DOMAINS = ["shop.example.com", "www.shop.example.com"]

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def parameters(aws: Clients, stacks: Stacks) -> Iterator[dict[str, str]]:
    network = stacks.deploy("orders-shown-network", template("network"), **WHO)
    assert network.status == "CREATE_COMPLETE"
    vpc = network.outputs["VpcId"]
    nodes = aws("ec2").create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc)
    zone = aws("route53").create_hosted_zone(Name="shop.example.com", CallerReference="shown")
    yield {
        **WHO,
        "VpcId": vpc,
        "PublicSubnetIds": network.outputs["PublicSubnetIds"],
        "ClusterSecurityGroupId": nodes["GroupId"],
        "HostedZoneId": zone["HostedZone"]["Id"].removeprefix("/hostedzone/"),
        "Domain1": DOMAINS[0],
        "Domain2": DOMAINS[1],
        "Waf": "true",
    }
    mine = {"HostedZoneId": zone["HostedZone"]["Id"]}
    assert addresses(aws, mine["HostedZoneId"]) == {}
    for record in records(aws, mine["HostedZoneId"], "CNAME"):
        change(aws, mine, "DELETE", record)
    aws("route53").delete_hosted_zone(Id=zone["HostedZone"]["Id"])
    aws("ec2").delete_security_group(GroupId=nodes["GroupId"])
    assert stacks.delete("orders-shown-network") == "DELETE_COMPLETE"


@pytest.fixture(scope="module")
def edge(aws: Clients, stacks: Stacks, parameters: dict[str, str]) -> Iterator[Result]:
    result = stacks.deploy(NAME, template("edge"), **parameters)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    assert aws("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert aws("elbv2").describe_target_groups()["TargetGroups"] == []
    assert aws("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"] == []
    assert certificates(aws) == []
    assert rules(aws, parameters["ClusterSecurityGroupId"]) == []
    bucket = {"Bucket": result.outputs["AccessLogBucketName"]}
    aws("s3").head_bucket(**bucket)
    aws("s3").delete_bucket(**bucket)


def records(aws: Clients, zone: str, kind: str) -> list[dict[str, Any]]:
    found = aws("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [one for one in found if one["Type"] == kind]


def addresses(aws: Clients, zone: str) -> dict[str, dict[str, Any]]:
    """Give the names of a zone that stand for something of AWS."""
    return {one["Name"]: one["AliasTarget"] for one in records(aws, zone, "A")}


def certificates(aws: Clients) -> list[str]:
    """Give the certificates for names of the shop."""
    listed = aws("acm").list_certificates()["CertificateSummaryList"]
    return [one["CertificateArn"] for one in listed if one["DomainName"] == DOMAINS[0]]


def shown(aws: Clients, edge: Result) -> str:
    """Give the certificate that clients are shown."""
    arn = {"LoadBalancerArn": edge.outputs["LoadBalancerArn"]}
    listeners = aws("elbv2").describe_listeners(**arn)["Listeners"]
    (found,) = [one["CertificateArn"] for each in listeners for one in each.get("Certificates", [])]
    return found


def rules(aws: Clients, group: str) -> list[tuple[int, str]]:
    (found,) = aws("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return sorted(
        (one["FromPort"], pair["GroupId"])
        for one in found["IpPermissions"]
        for pair in one["UserIdGroupPairs"]
    )


def balancer(aws: Clients) -> dict[str, Any]:
    (found,) = aws("elbv2").describe_load_balancers()["LoadBalancers"]
    return found


def attributes(aws: Clients) -> dict[str, str]:
    arn = {"LoadBalancerArn": balancer(aws)["LoadBalancerArn"]}
    told = aws("elbv2").describe_load_balancer_attributes(**arn)["Attributes"]
    return {one["Key"]: one["Value"] for one in told}


def test_a_load_balancer_stands_in_every_public_subnet(
    aws: Clients, edge: Result, parameters: dict[str, str]
) -> None:
    found = balancer(aws)
    assert found["LoadBalancerArn"] == edge.outputs["LoadBalancerArn"]
    assert found["DNSName"] == edge.outputs["LoadBalancerDnsName"]
    assert (found["Scheme"], found["Type"]) == ("internet-facing", "application")
    subnets = [zone["SubnetId"] for zone in found["AvailabilityZones"]]
    assert sorted(subnets) == sorted(parameters["PublicSubnetIds"].split(","))
    told = attributes(aws)
    assert told["access_logs.s3.bucket"] == edge.outputs["AccessLogBucketName"]
    assert told["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert told["deletion_protection.enabled"] == "false"


def test_clients_get_tls_and_nothing_else(aws: Clients, edge: Result) -> None:
    arn = {"LoadBalancerArn": edge.outputs["LoadBalancerArn"]}
    found = {one["Port"]: one for one in aws("elbv2").describe_listeners(**arn)["Listeners"]}
    assert found.keys() == {80, 443}
    (redirect,) = found[80]["DefaultActions"]
    assert redirect["RedirectConfig"]["Protocol"] == "HTTPS"
    assert redirect["RedirectConfig"]["StatusCode"] == "HTTP_301"
    assert found[443]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert shown(aws, edge) == edge.outputs["ShownCertificateArn"]
    (forward,) = found[443]["DefaultActions"]
    assert forward["TargetGroupArn"] == edge.outputs["RouterTargetGroupArn"]


def test_the_certificate_is_validated_in_the_zone(
    aws: Clients, edge: Result, parameters: dict[str, str]
) -> None:
    arn = {"CertificateArn": shown(aws, edge)}
    found = aws("acm").describe_certificate(**arn)["Certificate"]
    assert (found["Status"], found["DomainName"]) == ("ISSUED", DOMAINS[0])
    assert sorted(found["SubjectAlternativeNames"]) == DOMAINS
    asked = {one["ResourceRecord"]["Name"] for one in found["DomainValidationOptions"]}
    assert len(asked) == len(DOMAINS)
    there = records(aws, parameters["HostedZoneId"], "CNAME")
    assert {one["Name"] for one in there} == asked
    tags = aws("acm").list_tags_for_certificate(**arn)["Tags"]
    assert {"Key": "Name", "Value": "orders-shown"} in tags


def test_another_name_makes_another_certificate(
    aws: Clients, stacks: Stacks, edge: Result, parameters: dict[str, str]
) -> None:
    before = shown(aws, edge)
    more = {"Domain3": "api.shop.example.com"}
    changed = stacks.deploy(NAME, template("edge"), **parameters, **more)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    replaced = [one for one in changed.changes if one.get("Replacement") == "True"]
    assert [one["LogicalResourceId"] for one in replaced] == ["Certificate"]
    assert certificates(aws) == [shown(aws, changed)] != [before]
    arn = {"CertificateArn": shown(aws, changed)}
    found = aws("acm").describe_certificate(**arn)["Certificate"]
    assert "api.shop.example.com" in found["SubjectAlternativeNames"]
    back = stacks.deploy(NAME, template("edge"), **parameters)
    assert (back.status, back.reasons) == ("UPDATE_COMPLETE", [])
    edge.outputs["ShownCertificateArn"] = back.outputs["ShownCertificateArn"]


def test_a_certificate_that_is_given_needs_no_names(
    aws: Clients, stacks: Stacks, edge: Result, parameters: dict[str, str]
) -> None:
    acm = aws("acm")
    asked = {"DomainName": "other.example.com", "ValidationMethod": "DNS"}
    given = {"CertificateArn": acm.request_certificate(**asked)["CertificateArn"]}
    names = ("Domain1", "Domain2", "HostedZoneId")
    others = {name: value for name, value in parameters.items() if name not in names}
    changed = stacks.deploy(NAME, template("edge"), **others, **given)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    assert shown(aws, changed) == given["CertificateArn"]
    assert certificates(aws) == []
    assert addresses(aws, parameters["HostedZoneId"]) == {}
    back = stacks.deploy(NAME, template("edge"), **parameters)
    assert (back.status, back.reasons) == ("UPDATE_COMPLETE", [])
    edge.outputs["ShownCertificateArn"] = back.outputs["ShownCertificateArn"]
    acm.delete_certificate(**given)


def test_its_names_follow_the_load_balancer(
    aws: Clients, stacks: Stacks, edge: Result, parameters: dict[str, str]
) -> None:
    target = {
        "HostedZoneId": edge.outputs["LoadBalancerZoneId"],
        "DNSName": edge.outputs["LoadBalancerDnsName"],
        "EvaluateTargetHealth": False,
    }
    found = addresses(aws, parameters["HostedZoneId"])
    assert found == {"shop.example.com.": target, "www.shop.example.com.": target}
    assert "Name3" not in stacks.resources(NAME)


def firewall(aws: Clients, edge: Result) -> dict[str, Any]:
    arn = {"ResourceArn": edge.outputs["LoadBalancerArn"]}
    return aws("wafv2").get_web_acl_for_resource(**arn)["WebACL"]


def test_a_firewall_looks_at_requests_first(aws: Clients, edge: Result) -> None:
    found = firewall(aws, edge)
    assert found["Name"].startswith(f"{NAME}-Firewall-")
    assert found["DefaultAction"] == {"Allow": {}}
    rules = sorted(found["Rules"], key=lambda rule: rule["Priority"])
    assert [rule["Name"] for rule in rules] == ["rate", "reputation", "common", "known-bad-inputs"]
    rate, *groups = (rule["Statement"] for rule in rules)
    assert rate["RateBasedStatement"]["Limit"] == 2000
    assert rules[0]["Action"] == {"Block": {}}
    statements = [group["ManagedRuleGroupStatement"] for group in groups]
    assert {statement["VendorName"] for statement in statements} == {"AWS"}
    # What a group finds is blocked, but for large bodies.
    assert [rule["OverrideAction"] for rule in rules[1:]] == [{"None": {}}] * 3
    overrides = [
        one for statement in statements for one in statement.get("RuleActionOverrides", [])
    ]
    assert overrides == [{"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}}]
    told = aws("wafv2").list_tags_for_resource(ResourceARN=found["ARN"])["TagInfoForResource"]
    assert {"Key": "Project", "Value": "orders"} in told["TagList"]


def test_the_router_is_asked_whether_it_is_well(aws: Clients, edge: Result) -> None:
    arns = [edge.outputs["RouterTargetGroupArn"]]
    (found,) = aws("elbv2").describe_target_groups(TargetGroupArns=arns)["TargetGroups"]
    assert (found["TargetType"], found["Port"], found["Protocol"]) == ("ip", 8000, "HTTP")
    assert (found["HealthCheckPath"], found["HealthCheckPort"]) == ("/ping", "8080")


def test_only_the_load_balancer_reaches_the_router(
    aws: Clients, edge: Result, parameters: dict[str, str]
) -> None:
    assert edge.status == "CREATE_COMPLETE"
    (own,) = balancer(aws)["SecurityGroups"]
    nodes = parameters["ClusterSecurityGroupId"]
    assert rules(aws, nodes) == [(8000, own), (8080, own)]
    (found,) = aws("ec2").describe_security_groups(GroupIds=[own])["SecurityGroups"]
    out = found["IpPermissionsEgress"]
    assert sorted(one["FromPort"] for one in out) == [8000, 8080]
    assert {pair["GroupId"] for one in out for pair in one["UserIdGroupPairs"]} == {nodes}
    assert sorted(one["FromPort"] for one in found["IpPermissions"]) == [80, 443]


def test_only_load_balancers_of_the_account_write_access_logs(aws: Clients, edge: Result) -> None:
    s3, bucket = aws("s3"), {"Bucket": edge.outputs["AccessLogBucketName"]}
    policy = json.loads(s3.get_bucket_policy(**bucket)["Policy"])
    write = next(one for one in policy["Statement"] if one["Effect"] == "Allow")
    assert write["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert write["Resource"].endswith("/AWSLogs/000000000000/*")
    assert ":000000000000:loadbalancer/" in write["Condition"]["ArnLike"]["aws:SourceArn"]
    (rule,) = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert rule["Expiration"] == {"Days": 90}


@pytest.mark.usefixtures("edge")
def test_changes_are_made_in_place(
    aws: Clients, stacks: Stacks, parameters: dict[str, str]
) -> None:
    same = stacks.propose(NAME, template("edge"), **parameters)
    assert "didn't contain changes" in same["StatusReason"]
    body = template("edge").replace("TLS13-1-2-2021-06", "TLS13-1-3-2021-06")
    body = body.replace("HealthCheckPath: /ping", "HealthCheckPath: /ready")
    more = {"DeletionProtection": "true", "RouterHealthPort": "9000", "WafRequestLimit": "500"}
    changed = stacks.deploy(NAME, body, **parameters, **more)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    assert attributes(aws)["deletion_protection.enabled"] == "true"
    (own,) = balancer(aws)["SecurityGroups"]
    assert (9000, own) in rules(aws, parameters["ClusterSecurityGroupId"])
    arns = [changed.outputs["RouterTargetGroupArn"]]
    (found,) = aws("elbv2").describe_target_groups(TargetGroupArns=arns)["TargetGroups"]
    assert (found["HealthCheckPath"], found["HealthCheckPort"]) == ("/ready", "9000")
    rate = firewall(aws, changed)["Rules"][0]["Statement"]["RateBasedStatement"]
    assert rate["Limit"] == 500
    without = stacks.deploy(NAME, template("edge"), **parameters | {"Waf": "false"})
    assert (without.status, without.reasons) == ("UPDATE_COMPLETE", [])
    assert aws("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"] == []
    back = stacks.deploy(NAME, template("edge"), **parameters)
    assert (back.status, back.reasons) == ("UPDATE_COMPLETE", [])
    assert firewall(aws, back)["DefaultAction"] == {"Allow": {}}


def test_drift_is_found(
    aws: Clients, stacks: Stacks, edge: Result, parameters: dict[str, str]
) -> None:
    client = aws("cloudformation")
    assert drifted(detect(client, NAME)) == {}
    arn = {"LoadBalancerArn": edge.outputs["LoadBalancerArn"]}
    off = [{"Key": "access_logs.s3.enabled", "Value": "false"}]
    aws("elbv2").modify_load_balancer_attributes(**arn, Attributes=off)
    (own,) = balancer(aws)["SecurityGroups"]
    source = {"GroupId": own, "Description": "Requests from the load balancer"}
    pair = {"UserIdGroupPairs": [source], "IpProtocol": "tcp"}
    open_port = {**pair, "FromPort": 8000, "ToPort": 8000}
    nodes = {"GroupId": parameters["ClusterSecurityGroupId"]}
    aws("ec2").revoke_security_group_ingress(**nodes, IpPermissions=[open_port])
    zone = {"HostedZoneId": parameters["HostedZoneId"]}
    elsewhere = {
        "Name": "shop.example.com",
        "Type": "A",
        "AliasTarget": {
            "HostedZoneId": edge.outputs["LoadBalancerZoneId"],
            "DNSName": "other.elb.amazonaws.com",
            "EvaluateTargetHealth": False,
        },
    }
    change(aws, zone, "UPSERT", elsewhere)
    second = {
        "Name": "www.shop.example.com",
        "Type": "A",
        "AliasTarget": {
            "HostedZoneId": edge.outputs["LoadBalancerZoneId"],
            "DNSName": edge.outputs["LoadBalancerDnsName"],
            "EvaluateTargetHealth": False,
        },
    }
    change(aws, zone, "DELETE", second)
    arn_of_firewall = {"WebACLArn": firewall(aws, edge)["ARN"]}
    here = {"ResourceArn": edge.outputs["LoadBalancerArn"]}
    aws("wafv2").disassociate_web_acl(**here)
    (listed,) = aws("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]
    mine = {name: listed[name] for name in ("Id", "Name")} | {"Scope": "REGIONAL"}
    rules, lock = (aws("wafv2").get_web_acl(**mine)[name] for name in ("WebACL", "LockToken"))
    everything = {name: rules[name] for name in ("DefaultAction", "VisibilityConfig", "Rules")}
    fewer = everything | {"Rules": everything["Rules"][:1]}
    lock = aws("wafv2").update_web_acl(**mine, **fewer, LockToken=lock)["NextLockToken"]
    found = detect(client, NAME)
    names = {"Firewall", "FirewallAssociation", "Name1", "Name2"}
    assert set(drifted(found)) == {"LoadBalancer", "RequestsToRouter"} | names
    assert found["FirewallAssociation"]["StackResourceDriftStatus"] == "DELETED"
    assert found["Name1"]["PropertyDifferences"][0]["PropertyPath"] == "/AliasTarget/DNSName"
    assert found["Name2"]["StackResourceDriftStatus"] == "DELETED"
    assert found["RequestsToRouter"]["StackResourceDriftStatus"] == "DELETED"
    assert found.keys() == stacks.resources(NAME).keys() - {"Certificate"}
    on = [{"Key": "access_logs.s3.enabled", "Value": "true"}]
    aws("elbv2").modify_load_balancer_attributes(**arn, Attributes=on)
    aws("ec2").authorize_security_group_ingress(**nodes, IpPermissions=[open_port])
    aws("wafv2").update_web_acl(**mine, **everything, LockToken=lock)
    aws("wafv2").associate_web_acl(**here, **arn_of_firewall)
    change(aws, zone, "UPSERT", second | {"Name": "shop.example.com"})
    change(aws, zone, "CREATE", second)


def change(aws: Clients, zone: dict[str, str], action: str, record: dict[str, Any]) -> None:
    """Change a record by hand."""
    changes = [{"Action": action, "ResourceRecordSet": record}]
    aws("route53").change_resource_record_sets(**zone, ChangeBatch={"Changes": changes})
