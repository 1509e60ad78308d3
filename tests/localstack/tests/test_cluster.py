"""The cluster stack, read back through EKS, IAM and KMS."""

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks import Result, Stacks, template
from test_provider import write_kubeconfig

NETWORK = "orders-live-network"
NAME = "orders-live-cluster"
WHO = {"Project": "orders", "Environment": "live"}

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def parameters(stacks: Stacks) -> Iterator[dict[str, str]]:
    network = stacks.deploy(NETWORK, template("network"), **WHO)
    assert (network.status, network.reasons) == ("CREATE_COMPLETE", [])
    yield {**WHO, "ApplicationSubnetIds": network.outputs["ApplicationSubnetIds"]}
    assert stacks.delete(NETWORK) == "DELETE_COMPLETE"


@pytest.fixture(scope="module")
def cluster(aws: Clients, stacks: Stacks, parameters: dict[str, str]) -> Iterator[Result]:
    result = stacks.deploy(NAME, template("cluster"), **parameters)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    assert aws("eks").list_clusters()["clusters"] == []
    roles = [role["RoleName"] for role in aws("iam").list_roles()["Roles"]]
    assert not [role for role in roles if role.startswith(NAME)]
    assert aws("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    key = aws("kms").describe_key(KeyId=result.outputs["SecretsKeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "PendingDeletion"


def describe(aws: Clients) -> dict[str, Any]:
    return aws("eks").describe_cluster(name="orders-live")["cluster"]


def test_the_cluster_is_what_the_template_says(
    aws: Clients, cluster: Result, parameters: dict[str, str]
) -> None:
    found = describe(aws)
    assert (found["status"], found["version"]) == ("ACTIVE", "1.35")
    assert found["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    network = found["resourcesVpcConfig"]
    assert network["subnetIds"] == parameters["ApplicationSubnetIds"].split(",")
    assert network["endpointPrivateAccess"] is True
    assert network["endpointPublicAccess"] is False
    assert network["clusterSecurityGroupId"] == cluster.outputs["ClusterSecurityGroupId"]
    groups = [network["clusterSecurityGroupId"]]
    assert aws("ec2").describe_security_groups(GroupIds=groups)["SecurityGroups"]
    types = found["logging"]["clusterLogging"][0]["types"]
    assert types == ["api", "audit", "authenticator", "controllerManager", "scheduler"]
    assert found["upgradePolicy"] == {"supportType": "STANDARD"}
    assert found["tags"] == {"Name": "orders-live", "Project": "orders"}
    (group,) = aws("logs").describe_log_groups(logGroupNamePrefix="/aws/eks/")["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == (
        "/aws/eks/orders-live/cluster",
        90,
    )


def test_secrets_are_encrypted_by_a_key_of_their_own(aws: Clients, cluster: Result) -> None:
    (config,) = describe(aws)["encryptionConfig"]
    key = cluster.outputs["SecretsKeyArn"]
    assert config == {"resources": ["secrets"], "provider": {"keyArn": key}}
    kms = aws("kms")
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    alias = kms.describe_key(KeyId="alias/orders-live-secrets")["KeyMetadata"]
    assert alias["Arn"] == key
    role = describe(aws)["roleArn"].rsplit("/", 1)[1]
    iam = aws("iam")
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonEKSClusterPolicy"]
    policy = iam.get_role_policy(RoleName=role, PolicyName="encrypt-secrets")["PolicyDocument"]
    assert policy["Statement"][0]["Resource"] == key


def test_iam_believes_the_clusters_tokens(aws: Clients, cluster: Result) -> None:
    arn = cluster.outputs["OidcProviderArn"]
    found = aws("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert "https://" + found["Url"].removeprefix("https://") == cluster.outputs["OidcIssuer"]
    assert found["ClientIDList"] == ["sts.amazonaws.com"]


def test_two_roles_may_enter_and_only_one_may_do_everything(aws: Clients, cluster: Result) -> None:
    eks = aws("eks")
    administrator = cluster.outputs["AdministratorRoleArn"]
    deploy = cluster.outputs["DeployRoleArn"]
    entries = eks.list_access_entries(clusterName="orders-live")["accessEntries"]
    assert entries == sorted([administrator, deploy])
    scopes = {}
    for principal in entries:
        listed = eks.list_associated_access_policies(
            clusterName="orders-live", principalArn=principal
        )
        for policy in listed["associatedAccessPolicies"]:
            scope = policy["accessScope"]
            scopes[principal] = (
                policy["policyArn"].rsplit("/", 1)[1],
                scope["type"],
                scope["namespaces"],
            )
    assert scopes == {
        administrator: ("AmazonEKSClusterAdminPolicy", "cluster", []),
        deploy: ("AmazonEKSAdminPolicy", "namespace", ["orders"]),
    }
    entry = eks.describe_access_entry(clusterName="orders-live", principalArn=deploy)
    assert entry["accessEntry"]["kubernetesGroups"] == ["deployers"]
    for role in (administrator, deploy):
        found = aws("iam").get_role(RoleName=role.rsplit("/", 1)[1])["Role"]
        principal = found["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
        assert principal == {"AWS": "arn:aws:iam::000000000000:root"}


@pytest.mark.usefixtures("cluster")
def test_the_api_server_is_that_of_the_kubeconfig(aws: Clients, kubeconfig: Path) -> None:
    before = describe(aws)
    assert before["endpoint"].endswith(".gr7.eu-west-1.eks.amazonaws.com")
    try:
        for server in ("https://192.0.2.1:6443", "https://192.0.2.2:6443"):
            write_kubeconfig(kubeconfig, server, **{"certificate-authority-data": "Y2E="})
            found = describe(aws)
            assert found["endpoint"] == server
            assert found["certificateAuthority"]["data"] == "Y2E="
        kubeconfig.write_text("no kubeconfig")
        with pytest.raises(ClientError, match="EKS_KUBECONFIG"):
            describe(aws)
    finally:
        kubeconfig.unlink()
    assert describe(aws)["endpoint"] == before["endpoint"]


@pytest.mark.usefixtures("cluster")
def test_nothing_changes_when_nothing_has_changed(
    stacks: Stacks, parameters: dict[str, str]
) -> None:
    change_set = stacks.propose(NAME, template("cluster"), **parameters)
    assert change_set["Status"] == "FAILED"
    assert "didn't contain changes" in change_set["StatusReason"]


@pytest.mark.usefixtures("cluster")
def test_changes_are_made_in_place(
    aws: Clients, stacks: Stacks, parameters: dict[str, str]
) -> None:
    changed = stacks.deploy(
        NAME,
        template("cluster").replace("[deployers]", "[deployers, readers]"),
        **parameters,
        EndpointPublicAccess="true",
        PublicAccessCidrs="192.0.2.0/24,198.51.100.0/24",
        DeletionProtection="true",
        LogRetentionDays="30",
    )
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    replaced = {change["LogicalResourceId"]: change["Replacement"] for change in changed.changes}
    assert replaced["Cluster"] == "False"
    found = describe(aws)
    assert found["deletionProtection"] is True
    assert found["resourcesVpcConfig"]["endpointPublicAccess"] is True
    assert found["resourcesVpcConfig"]["publicAccessCidrs"] == ["192.0.2.0/24", "198.51.100.0/24"]
    principal = changed.outputs["DeployRoleArn"]
    entry = aws("eks").describe_access_entry(clusterName="orders-live", principalArn=principal)
    assert entry["accessEntry"]["kubernetesGroups"] == ["deployers", "readers"]
    with pytest.raises(ClientError, match="deletion protection"):
        aws("eks").delete_cluster(name="orders-live")
    back = stacks.deploy(NAME, template("cluster"), **parameters)
    assert back.status == "UPDATE_COMPLETE"
    assert describe(aws)["deletionProtection"] is False


@pytest.mark.usefixtures("cluster")
def test_versions_go_one_minor_at_a_time(
    stacks: Stacks, aws: Clients, parameters: dict[str, str]
) -> None:
    refused = stacks.deploy(NAME, template("cluster"), **parameters, KubernetesVersion="1.38")
    assert refused.status == "UPDATE_ROLLBACK_COMPLETE"
    assert any("Unsupported Kubernetes minor version" in reason for reason in refused.reasons)
    assert describe(aws)["version"] == "1.35"


@pytest.mark.usefixtures("cluster")
def test_a_token_for_the_cluster_says_who_asks(aws: Clients) -> None:
    url = aws("sts").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    with urllib.request.urlopen(url) as answer:  # noqa: S310
        assert b"000000000000" in answer.read()
