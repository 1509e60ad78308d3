"""The bootstrap stack, read back through IAM: who may become which role, and what for."""

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks import TEMPLATES, Result, Stacks, template

NAME = "orders-first-bootstrap"
WHO = {"Project": "orders", "Environment": "first"}
SUBJECT = "repo:acme@1/orders@2"
DOMAINS = {"Domain1": "orders.example.com", "Domain3": "www.example.com"}
PARAMETERS = {**WHO, **DOMAINS, "GithubSubject": SUBJECT, "GithubEnvironment": "first"}
ISSUER = "token.actions.githubusercontent.com"

Clients = Callable[[str], Any]
Statements = list[dict[str, Any]]


@pytest.fixture(scope="module")
def bootstrap(aws: Clients, stacks: Stacks) -> Iterator[Result]:
    result = stacks.deploy(NAME, template("bootstrap"), **PARAMETERS)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    iam = aws("iam")
    assert iam.list_roles(PathPrefix="/orders/first/")["Roles"] == []
    assert iam.list_policies(Scope="Local", PathPrefix="/orders/first/")["Policies"] == []
    provider = {"OpenIDConnectProviderArn": result.outputs["GithubProviderArn"]}
    assert iam.get_open_id_connect_provider(**provider)["Url"].removeprefix("https://") == ISSUER
    iam.delete_open_id_connect_provider(**provider)


def role(aws: Clients, bootstrap: Result, name: str) -> dict[str, Any]:
    arn = bootstrap.outputs[f"{name}RoleArn"]
    return aws("iam").get_role(RoleName=arn.rsplit("/", 1)[1])["Role"]


def inline(aws: Clients, bootstrap: Result, name: str) -> Statements:
    who = {"RoleName": role(aws, bootstrap, name.capitalize())["RoleName"]}
    found = aws("iam").get_role_policy(**who, PolicyName=name)["PolicyDocument"]
    return found["Statement"]


def managed(aws: Clients, arn: str) -> Statements:
    iam, policy = aws("iam"), {"PolicyArn": arn}
    version = iam.get_policy(**policy)["Policy"]["DefaultVersionId"]
    found = iam.get_policy_version(**policy, VersionId=version)
    return found["PolicyVersion"]["Document"]["Statement"]


def of_service_role(aws: Clients, bootstrap: Result) -> Statements:
    name = role(aws, bootstrap, "Service")["RoleName"]
    listed = aws("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return [one for policy in listed for one in managed(aws, policy["PolicyArn"])]


def actions(statements: Statements, effect: str = "Allow") -> set[str]:
    found: set[str] = set()
    for statement in statements:
        if statement["Effect"] == effect:
            action = statement["Action"]
            found |= {action} if isinstance(action, str) else set(action)
    return found


def allows(statements: Statements, action: str) -> bool:
    return any(fnmatchcase(action.lower(), known.lower()) for known in actions(statements))


def test_a_pull_request_may_plan_and_only_the_environment_may_apply(
    aws: Clients, bootstrap: Result
) -> None:
    subjects = {}
    for name in ("Plan", "Apply"):
        (statement,) = role(aws, bootstrap, name)["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert statement["Principal"] == {"Federated": bootstrap.outputs["GithubProviderArn"]}
        assert statement["Condition"].keys() == {"StringEquals"}
        claims = statement["Condition"]["StringEquals"]
        assert claims[f"{ISSUER}:aud"] == "sts.amazonaws.com"
        subjects[name] = claims[f"{ISSUER}:sub"]
    assert subjects == {
        "Plan": [f"{SUBJECT}:pull_request", f"{SUBJECT}:ref:refs/heads/main"],
        "Apply": f"{SUBJECT}:environment:first",
    }


def test_who_plans_makes_change_sets_and_carries_none_out(aws: Clients, bootstrap: Result) -> None:
    may = inline(aws, bootstrap, "plan")
    assert allows(may, "cloudformation:CreateChangeSet")
    for action in (
        "cloudformation:ExecuteChangeSet",
        "cloudformation:CreateStack",
        "cloudformation:UpdateStack",
        "cloudformation:DeleteStack",
        "cloudformation:UpdateTerminationProtection",
        "iam:PassRole",
        "s3:GetObject",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "sts:AssumeRole",
    ):
        assert not allows(may, action), action
    verbs = {action.split(":")[1] for action in actions(may)}
    reads = re.compile(r"(Describe|Get|List|(CreateChangeSet|DeleteChangeSet|DetectStackDrift)$)")
    assert [verb for verb in verbs if not reads.match(verb)] == []


def test_who_applies_acts_through_the_service_role_alone(aws: Clients, bootstrap: Result) -> None:
    may = {statement["Sid"]: statement for statement in inline(aws, bootstrap, "apply")}
    service = bootstrap.outputs["ServiceRoleArn"]
    assert may["PassTheServiceRole"]["Resource"] == service
    assert may["PassTheServiceRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}
    }
    condition = {"StringEquals": {"cloudformation:RoleArn": service}}
    assert may["ChangeAsTheServiceRole"]["Condition"] == condition
    services = {action.split(":")[0] for action in actions(list(may.values()))}
    assert services == {
        "cloudformation",
        "ec2",
        "eks",
        "elasticloadbalancing",
        "iam",
        "route53",
        "s3",
    }
    reads = ["route53:GetHostedZone", "route53:ListHostedZonesByName"]
    assert may["FindZone"]["Action"] == reads
    for statement in ("ChangeAsTheServiceRole", "CarryOut"):
        stacks = {arn.split(":stack/")[1] for arn in may[statement]["Resource"]}
        layers = {file.stem for file in TEMPLATES.glob("*.yaml")} - {"bootstrap"}
        assert stacks == {f"orders-first-{layer}/*" for layer in layers}


def test_who_applies_removes_what_its_own_cluster_left_behind_and_nothing_else(
    aws: Clients, bootstrap: Result
) -> None:
    cluster = "orders-first"
    tags = {
        "RemoveLoadBalancers": {"elbv2.k8s.aws/cluster": cluster},
        "RemoveInterfaces": {"cluster.k8s.amazonaws.com/name": cluster},
        "RemoveGroupsOfEks": {"aws:eks:cluster-name": cluster},
        "RemoveVolumes": {"ebs.csi.aws.com/cluster": "true", **WHO},
    }
    removing = set()
    for statement in inline(aws, bootstrap, "apply"):
        changes = re.compile(r"(ec2|elasticloadbalancing|s3):(?!Describe|List)")
        if any(changes.match(action) for action in actions([statement])):
            wanted = tags[statement["Sid"]].items()
            wanted = {f"aws:ResourceTag/{key}": value for key, value in wanted}
            assert statement["Condition"] == {"StringEquals": wanted}
            removing.add(statement["Sid"])
    assert removing == tags.keys()
    for name in ("plan", "apply"):
        may = {statement["Sid"]: statement for statement in inline(aws, bootstrap, name)}
        looks = may["SeeWhetherThereAreBackups"]
        assert looks["Action"] == "s3:ListBucketVersions"
        assert looks["Resource"] == f"arn:aws:s3:::{cluster}-data-*"


def test_the_service_role_gives_no_more_than_the_boundary(aws: Clients, bootstrap: Result) -> None:
    may = {statement["Sid"]: statement for statement in of_service_role(aws, bootstrap)}
    boundary = bootstrap.outputs["PermissionsBoundaryArn"]
    for sid in ("NewRoles", "RolesInTheBoundary"):
        assert may[sid]["Condition"]["StringEquals"]["iam:PermissionsBoundary"] == boundary
    everything = list(may.values())
    for action in (
        "iam:DeleteRolePermissionsBoundary",
        "iam:CreatePolicyVersion",
        "iam:CreateUser",
        "iam:CreateAccessKey",
        "s3:GetObject",
        "s3:DeleteObject",
        "s3:BypassGovernanceRetention",
        "ecr:BatchDeleteImage",
        "backup:DeleteRecoveryPoint",
        "cloudformation:UpdateStack",
        "sts:AssumeRole",
    ):
        assert not allows(everything, action), action
    # The roles of this stack have a path that the service role's statements do not reach.
    reach = may["RolesInTheBoundary"]["Resource"]
    assert fnmatchcase("arn:aws:iam::000000000000:role/orders-first-cluster-Role-1", reach)
    for name in ("Plan", "Apply", "Service"):
        assert not fnmatchcase(bootstrap.outputs[f"{name}RoleArn"], reach)


def test_only_the_environments_own_names_can_be_taken(aws: Clients, bootstrap: Result) -> None:
    may = {statement["Sid"]: statement for statement in of_service_role(aws, bootstrap)}
    records = may["RecordsOfItsNames"]["Condition"]
    names = records["ForAllValues:StringLike"]
    assert list(names.values()) == [
        ["orders.example.com", "_*.orders.example.com", "www.example.com", "_*.www.example.com"]
    ]
    certificates = may["NewCertificates"]["Condition"]
    assert certificates["ForAllValues:StringEquals"] == {"acm:DomainNames": [*DOMAINS.values()]}
    everything = list(may.values())
    # The zone of this environment is there already, and none can be deleted.
    for action in ("route53:CreateHostedZone", "route53:DeleteHostedZone"):
        assert not allows(everything, action), action


def test_machines_start_from_the_environments_own_templates(
    aws: Clients, bootstrap: Result
) -> None:
    starts = [one for one in of_service_role(aws, bootstrap) if "ec2:RunInstances" in one["Action"]]
    template = "arn:aws:ec2:eu-west-1:000000000000:launch-template/*"
    own = {"aws:ResourceTag/Project": "orders", "aws:ResourceTag/Environment": "first"}
    assert [(one.get("Resource"), one.get("NotResource"), one["Condition"]) for one in starts] == [
        (template, None, {"StringEquals": own}),
        (None, template, {"ArnLike": {"ec2:LaunchTemplate": template}}),
    ]


def test_policies_are_no_longer_than_iam_takes(aws: Clients, bootstrap: Result) -> None:
    name = role(aws, bootstrap, "Service")["RoleName"]
    listed = aws("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    arns = [policy["PolicyArn"] for policy in listed]
    assert len(arns) <= 10
    for arn in [*arns, bootstrap.outputs["PermissionsBoundaryArn"]]:
        assert len(json.dumps({"Statement": managed(aws, arn)}, separators=(",", ":"))) < 6100, arn


def test_no_role_of_a_layer_can_take_backups_away(aws: Clients, bootstrap: Result) -> None:
    boundary = managed(aws, bootstrap.outputs["PermissionsBoundaryArn"])
    denied = actions(boundary, "Deny")
    assert {"s3:BypassGovernanceRetention", "kms:ScheduleKeyDeletion"} <= denied
    assert "backup:DeleteRecoveryPoint" in denied
    for action in ("iam:CreateRole", "iam:AttachRolePolicy", "cloudformation:UpdateStack"):
        assert not allows(boundary, action), action


def test_stacks_are_made_as_the_service_role_with_bounded_roles(
    aws: Clients, stacks: Stacks, bootstrap: Result
) -> None:
    client, name = aws("cloudformation"), "orders-first-network"
    boundary = bootstrap.outputs["PermissionsBoundaryArn"]
    bounded = Stacks(client, role=bootstrap.outputs["ServiceRoleArn"])
    made = bounded.deploy(
        name, template("network"), **WHO, NatMode="single", PermissionsBoundaryArn=boundary
    )
    assert (made.status, made.reasons) == ("CREATE_COMPLETE", [])
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    assert stack["RoleARN"] == bootstrap.outputs["ServiceRoleArn"]
    who = stacks.resources(name)["FlowLogRole"]["PhysicalResourceId"]
    found = aws("iam").get_role(RoleName=who)["Role"]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    free = stacks.deploy(name, template("network"), **WHO, NatMode="single")
    assert (free.status, free.reasons) == ("UPDATE_COMPLETE", [])
    assert "PermissionsBoundary" not in aws("iam").get_role(RoleName=who)["Role"]
    assert stacks.delete(name) == "DELETE_COMPLETE"


def test_a_role_that_cloudformation_cannot_assume_is_refused(
    aws: Clients, bootstrap: Result
) -> None:
    for wrong in (bootstrap.outputs["ApplyRoleArn"], "arn:aws:iam::000000000000:role/nobody"):
        with pytest.raises(ClientError, match="is invalid or cannot be assumed"):
            Stacks(aws("cloudformation"), role=wrong).propose("refused", template("network"), **WHO)


@pytest.mark.usefixtures("bootstrap")
def test_another_environment_in_the_account_uses_the_provider_that_is_there(
    aws: Clients, stacks: Stacks, bootstrap: Result
) -> None:
    provider = bootstrap.outputs["GithubProviderArn"]
    second = {"Project": "orders", "Environment": "second", "GithubEnvironment": "second"}
    body = template("bootstrap")
    clash = stacks.deploy("orders-second-bootstrap", body, **second, GithubSubject=SUBJECT)
    assert clash.status == "ROLLBACK_COMPLETE"
    assert stacks.delete("orders-second-bootstrap") == "DELETE_COMPLETE"
    made = stacks.deploy(
        "orders-second-bootstrap",
        body,
        **second,
        GithubSubject="repo:acme/orders",
        GithubProviderArn=provider,
    )
    assert (made.status, made.reasons) == ("CREATE_COMPLETE", [])
    assert made.outputs["GithubProviderArn"] == provider
    name = made.outputs["ApplyRoleArn"].rsplit("/", 1)[1]
    trust = aws("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    subject = trust["Statement"][0]["Condition"]["StringEquals"][f"{ISSUER}:sub"]
    assert subject == "repo:acme/orders:environment:second"
    assert not any("route53" in one for one in actions(of_service_role(aws, made)))
    assert stacks.delete("orders-second-bootstrap") == "DELETE_COMPLETE"


@pytest.mark.usefixtures("bootstrap")
def test_policies_change_in_place(aws: Clients, stacks: Stacks, bootstrap: Result) -> None:
    body = template("bootstrap").replace("- tag:GetResources\n", "- tag:GetTagKeys\n")
    changed = stacks.deploy(NAME, body, **PARAMETERS)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    boundary = changed.outputs["PermissionsBoundaryArn"]
    assert boundary == bootstrap.outputs["PermissionsBoundaryArn"]
    assert allows(managed(aws, boundary), "tag:GetTagKeys")
    again = stacks.propose(NAME, body, **PARAMETERS)
    assert again["Status"] == "FAILED"
    assert stacks.deploy(NAME, template("bootstrap"), **PARAMETERS).status == "UPDATE_COMPLETE"
