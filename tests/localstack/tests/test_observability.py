"""The observability stack, read back through SNS, CloudWatch, EventBridge and EKS."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stacks import Result, Stacks, template

NAME = "orders-seen-observability"
PARAMETERS = {
    "Project": "orders",
    "Environment": "seen",
    "NatGatewayIds": "nat-0a,nat-0b,nat-0c",
    "WalBucketName": "orders-seen-wal",
    "BackupVaultName": "orders-seen-1",
    "ClusterName": "orders-seen",
    "CriticalTarget1": "oncall@example.com",
    "WarningTarget1": "team@example.com",
    "WarningTarget2": "https://127.0.0.1:1/alerts",
    "WarningProtocol2": "https",
}

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def cluster(aws: Clients) -> Iterator[None]:
    ec2, eks = aws("ec2"), aws("eks")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{index}.0/24", AvailabilityZone=zone)
        for index, zone in enumerate(("eu-west-1a", "eu-west-1b"))
    ]
    identifiers = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    role = "arn:aws:iam::000000000000:role/cluster"
    network = {"subnetIds": identifiers}
    eks.create_cluster(name="orders-seen", roleArn=role, resourcesVpcConfig=network)
    yield
    eks.delete_cluster(name="orders-seen")
    for identifier in identifiers:
        ec2.delete_subnet(SubnetId=identifier)
    ec2.delete_vpc(VpcId=vpc)


@pytest.fixture(scope="module")
def watched(aws: Clients, stacks: Stacks, cluster: None) -> Iterator[Result]:  # noqa: ARG001
    result = stacks.deploy(NAME, template("observability"), **PARAMETERS)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    assert not alarms(aws)
    assert aws("cloudwatch").list_dashboards()["DashboardEntries"] == []
    assert aws("sns").list_topics()["Topics"] == []
    assert aws("events").list_rules(NamePrefix="orders-seen-")["Rules"] == []
    assert (
        aws("eks").list_pod_identity_associations(clusterName="orders-seen")["associations"] == []
    )


def alarms(aws: Clients) -> dict[str, dict[str, Any]]:
    found = aws("cloudwatch").describe_alarms(AlarmNamePrefix=NAME)["MetricAlarms"]
    return {alarm["AlarmName"].split("-")[3]: alarm for alarm in found}


def test_recipients_are_told_of_what_they_asked_for(aws: Clients, watched: Result) -> None:
    sns, told = aws("sns"), {}
    for kind in ("Critical", "Warning"):
        topic = {"TopicArn": watched.outputs[f"{kind}TopicArn"]}
        found = sns.list_subscriptions_by_topic(**topic)["Subscriptions"]
        told[kind] = sorted((one["Protocol"], one["Endpoint"]) for one in found)
    assert told == {
        "Critical": [("email", "oncall@example.com")],
        "Warning": [("email", "team@example.com"), ("https", "https://127.0.0.1:1/alerts")],
    }


def test_topics_are_encrypted_and_only_aws_publishes_besides(aws: Clients, watched: Result) -> None:
    keys = set()
    for kind in ("Critical", "Warning"):
        topic = {"TopicArn": watched.outputs[f"{kind}TopicArn"]}
        attributes = aws("sns").get_topic_attributes(**topic)["Attributes"]
        keys.add(attributes["KmsMasterKeyId"])
        statements = {one["Sid"]: one for one in json.loads(attributes["Policy"])["Statement"]}
        assert statements["Alarms"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        account = {"StringEquals": {"aws:SourceAccount": "000000000000"}}
        assert statements["Alarms"]["Condition"] == account
        assert statements["OnlyByTls"]["Effect"] == "Deny"
    (key,) = keys
    policy = json.loads(aws("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    publishers = {json.dumps(one["Principal"]) for one in policy["Statement"]}
    assert '{"Service": "cloudwatch.amazonaws.com"}' in publishers


def test_there_is_an_alarm_for_what_can_fail(aws: Clients, watched: Result) -> None:
    found = alarms(aws)
    critical, warning = (watched.outputs[f"{kind}TopicArn"] for kind in ("Critical", "Warning"))
    told = {name: alarm["AlarmActions"] for name, alarm in found.items()}
    assert told == {
        "NatPortsExhaustedA": [critical],
        "NatPortsExhaustedB": [critical],
        "NatPortsExhaustedC": [critical],
        "WalMissing": [critical],
        "VolumeBackupMissing": [warning],
        "VolumeBackupFailed": [critical],
        "ApiServerFailing": [critical],
        "PodsUnschedulable": [warning],
        "ClusterStorageFilling": [warning],
    }
    gateways = {
        alarm["Dimensions"][0]["Value"]
        for name, alarm in found.items()
        if name.startswith("NatPorts")
    }
    assert gateways == {"nat-0a", "nat-0b", "nat-0c"}
    wal = found["WalMissing"]
    assert {one["Name"]: one["Value"] for one in wal["Dimensions"]} == {
        "BucketName": "orders-seen-wal",
        "FilterId": "all",
    }
    silent = {name for name, one in found.items() if one["TreatMissingData"] == "breaching"}
    assert silent == {"WalMissing", "VolumeBackupMissing"}
    assert all(alarm["OKActions"] == alarm["AlarmActions"] for alarm in found.values())
    assert all(" - " in alarm["AlarmDescription"] for alarm in found.values()), "what to do"


def test_an_alarm_reaches_who_is_subscribed(aws: Clients, watched: Result) -> None:
    sqs, sns = aws("sqs"), aws("sns")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    topic = watched.outputs["CriticalTopicArn"]
    arn = "arn:aws:sqs:eu-west-1:000000000000:told"
    made = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    name = alarms(aws)["ApiServerFailing"]["AlarmName"]
    cloudwatch = aws("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    told: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30
    while not told and time.monotonic() < deadline:
        told = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
    message = json.loads(json.loads(told[0]["Body"])["Message"])
    assert (message["AlarmName"], message["NewStateValue"]) == (name, "ALARM")
    sns.unsubscribe(SubscriptionArn=made["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=queue)


def test_the_clusters_alertmanager_may_publish_and_nobody_else(
    aws: Clients, watched: Result
) -> None:
    eks, name = aws("eks"), {"clusterName": "orders-seen"}
    (listed,) = eks.list_pod_identity_associations(**name)["associations"]
    found = eks.describe_pod_identity_association(**name, associationId=listed["associationId"])
    association = found["association"]
    assert association["namespace"] == "monitoring"
    assert association["serviceAccount"] == "kube-prometheus-stack-alertmanager"
    assert association["roleArn"] == watched.outputs["AlertmanagerRoleArn"]
    assert association["tags"]["Name"] == "orders-seen-alertmanager"
    iam, role = aws("iam"), {"RoleName": association["roleArn"].rsplit("/", 1)[1]}
    (trust,) = iam.get_role(**role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Condition"]["StringEquals"]["aws:SourceArn"].endswith(":cluster/orders-seen")
    policy = iam.get_role_policy(**role, PolicyName="publish-alerts")["PolicyDocument"]
    topics = [watched.outputs[f"{kind}TopicArn"] for kind in ("Critical", "Warning")]
    assert policy["Statement"][0]["Resource"] == topics


def test_events_are_kept(aws: Clients, watched: Result) -> None:
    events, group = aws("events"), watched.outputs["EventLogGroupName"]
    assert group == "/aws/events/orders-seen"
    rules = {rule["Name"]: rule for rule in events.list_rules(NamePrefix="orders-seen-")["Rules"]}
    pattern = json.loads(rules["orders-seen-backups"]["EventPattern"])
    assert pattern["detail"] == {"backupVaultName": ["orders-seen-1"]}
    targets = {}
    for name, rule in rules.items():
        found = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        targets[name] = {target["Id"]: target["Arn"] for target in found}
    log = f"arn:aws:logs:eu-west-1:000000000000:log-group:{group}"
    assert targets == {
        "orders-seen-backups": {"log": log},
        "orders-seen-health": {"log": log, "warning": watched.outputs["WarningTopicArn"]},
    }
    policies = aws("logs").describe_resource_policies()["resourcePolicies"]
    (text,) = [one["policyDocument"] for one in policies if "seen" in one["policyName"]]
    streams, write = json.loads(text)["Statement"]
    assert streams["Resource"].startswith(log)
    source = write["Condition"]["ArnLike"]["aws:SourceArn"]
    assert source.endswith(":rule/orders-seen-*")


def test_the_dashboard_shows_what_the_alarms_watch(aws: Clients, watched: Result) -> None:  # noqa: ARG001
    body = aws("cloudwatch").get_dashboard(DashboardName="orders-seen")["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    shown = next(one for one in widgets if one["type"] == "alarm")["properties"]["alarms"]
    assert set(shown) == {one["AlarmArn"] for one in alarms(aws).values()}
    text = json.dumps(widgets)
    assert all(value in text for value in ("nat-0c", "orders-seen-wal", "orders-seen-1"))


@pytest.mark.usefixtures("watched")
def test_nothing_changes_when_nothing_has_changed(stacks: Stacks) -> None:
    change_set = stacks.propose(NAME, template("observability"), **PARAMETERS)
    assert change_set["Status"] == "FAILED"
    assert "didn't contain changes" in change_set["StatusReason"]


@pytest.mark.usefixtures("watched")
def test_changes_are_made(aws: Clients, stacks: Stacks) -> None:
    single = PARAMETERS | {"NatGatewayIds": "nat-0a,nat-0a,nat-0a", "NatMode": "single"}
    single |= {"WarningTarget1": "night@example.com", "LogRetentionDays": "30"}
    body = template("observability").replace("Threshold: 10\n", "Threshold: 20\n")
    changed = stacks.deploy(NAME, body, **single)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    found = alarms(aws)
    assert sorted(name for name in found if name.startswith("Nat")) == ["NatPortsExhaustedA"]
    body = aws("cloudwatch").get_dashboard(DashboardName="orders-seen")["DashboardBody"]
    assert body.count("BytesOutToDestination") == 1
    assert found["ApiServerFailing"]["Threshold"] == 20
    topic = {"TopicArn": changed.outputs["WarningTopicArn"]}
    told = aws("sns").list_subscriptions_by_topic(**topic)["Subscriptions"]
    assert "night@example.com" in {one["Endpoint"] for one in told}
    assert "team@example.com" not in {one["Endpoint"] for one in told}
    back = stacks.deploy(NAME, template("observability"), **PARAMETERS)
    assert (back.status, back.reasons) == ("UPDATE_COMPLETE", [])
    assert len(alarms(aws)) == 9
