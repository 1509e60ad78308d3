"""The stack of nodes, read back through EKS, EC2, ELB and IAM."""

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks import Result, Stacks, template
from test_drift import detect, drifted

NAME = "orders-many-nodes"
WHO = {"Project": "orders", "Environment": "many"}
CLUSTER = {"clusterName": "orders-many"}
KINDS = ("ApplicationNodes", "DatabaseNodesA", "DatabaseNodesB", "DatabaseNodesC", "BastionNodes")

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def parameters(stacks: Stacks) -> Iterator[dict[str, str]]:
    network = stacks.deploy("orders-many-network", template("network"), **WHO)
    assert network.status == "CREATE_COMPLETE"
    subnets = {
        name: network.outputs[name]
        for name in (
            *("AdminSubnetIds", "ApplicationSubnetIds", "DatabaseSubnetIds", "PublicSubnetIds"),
            "VpcId",
        )
    }
    given = {**WHO, "ApplicationSubnetIds": subnets["ApplicationSubnetIds"]}
    cluster = stacks.deploy("orders-many-cluster", template("cluster"), **given)
    assert cluster.status == "CREATE_COMPLETE"
    names = ("ClusterName", "ClusterSecurityGroupId")
    yield {**WHO, **subnets, **{name: cluster.outputs[name] for name in names}}
    assert stacks.delete("orders-many-cluster") == "DELETE_COMPLETE"
    assert stacks.delete("orders-many-network") == "DELETE_COMPLETE"


@pytest.fixture(scope="module")
def nodes(aws: Clients, stacks: Stacks, parameters: dict[str, str]) -> Iterator[Result]:
    result = stacks.deploy(NAME, template("nodes"), **parameters)
    assert (result.status, result.reasons) == ("CREATE_COMPLETE", [])
    yield result
    assert stacks.delete(NAME) == "DELETE_COMPLETE"
    eks = aws("eks")
    assert eks.list_nodegroups(**CLUSTER)["nodegroups"] == []
    assert eks.list_addons(**CLUSTER)["addons"] == []
    assert eks.list_pod_identity_associations(**CLUSTER)["associations"] == []
    assert aws("ec2").describe_launch_templates()["LaunchTemplates"] == []


def groups(aws: Clients, nodes: Result) -> dict[str, dict[str, Any]]:
    names = [one.split("/")[1] for one in nodes.outputs["NodeGroups"].split(",")]
    told = [
        aws("eks").describe_nodegroup(**CLUSTER, nodegroupName=name)["nodegroup"] for name in names
    ]
    return dict(zip(KINDS, told, strict=True))


def launched(aws: Clients, group: dict[str, Any]) -> dict[str, Any]:
    """Give how the machines of a group are started."""
    named = {"LaunchTemplateId": group["launchTemplate"]["id"]}
    version = [group["launchTemplate"]["version"]]
    found = aws("ec2").describe_launch_template_versions(**named, Versions=version)
    return found["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def test_there_are_three_kinds_of_nodes_and_databases_have_one_of_each_zone(
    aws: Clients, nodes: Result, parameters: dict[str, str]
) -> None:
    found = groups(aws, nodes)
    subnets = {
        kind: parameters[f"{kind}SubnetIds"].split(",")
        for kind in ("Application", "Database", "Admin")
    }
    assert {name: one["subnets"] for name, one in found.items()} == {
        "ApplicationNodes": subnets["Application"],
        "DatabaseNodesA": subnets["Database"][:1],
        "DatabaseNodesB": subnets["Database"][1:2],
        "DatabaseNodesC": subnets["Database"][2:],
        "BastionNodes": subnets["Admin"],
    }
    sizes = {
        name: tuple(one["scalingConfig"][key] for key in ("minSize", "desiredSize", "maxSize"))
        for name, one in found.items()
    }
    assert sizes.pop("ApplicationNodes") == (3, 3, 9)
    assert set(sizes.values()) == {(1, 1, 1)}
    for name, one in found.items():
        workload = one["labels"]["workload"]
        assert name.lower().startswith(workload)
        taint = {"key": "workload", "value": workload, "effect": "NO_SCHEDULE"}
        assert one["taints"] == ([] if workload == "application" else [taint])
        assert (one["amiType"], one["version"]) == ("AL2023_x86_64_STANDARD", "1.35")
        assert one["nodeRepairConfig"] == {"enabled": True}
        assert one["tags"] == {"Name": f"orders-many-{workload}", "Project": "orders"}


def test_machines_demand_session_tokens_and_are_encrypted(aws: Clients, nodes: Result) -> None:
    for group in groups(aws, nodes).values():
        data = launched(aws, group)
        options = data["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
        (disk,) = data["BlockDeviceMappings"]
        assert (disk["Ebs"]["Encrypted"], disk["Ebs"]["VolumeType"]) == (True, "gp3")
        # EKS gives nodes the cluster's security group when the template names none, and no address.
        assert not {"SecurityGroupIds", "NetworkInterfaces", "KeyName"} & data.keys()
        tagged = {one["ResourceType"]: one["Tags"] for one in data["TagSpecifications"]}
        for kind in ("instance", "volume"):
            assert {"Key": "Environment", "Value": "many"} in tagged[kind]


def policies(aws: Clients, arn: str) -> set[str]:
    name = arn.rsplit("/", 1)[1]
    attached = aws("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {policy["PolicyName"] for policy in attached}


def test_people_enter_the_bastion_alone_and_nodes_may_little(aws: Clients, nodes: Result) -> None:
    least = {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}
    roles = {name: group["nodeRole"] for name, group in groups(aws, nodes).items()}
    bastion = roles.pop("BastionNodes")
    assert bastion == nodes.outputs["BastionRoleArn"]
    assert policies(aws, bastion) == least | {"AmazonSSMManagedInstanceCore"}
    assert set(roles.values()) == {nodes.outputs["NodeRoleArn"]}
    assert policies(aws, nodes.outputs["NodeRoleArn"]) == least
    for role in (bastion, nodes.outputs["NodeRoleArn"]):
        entry = aws("eks").describe_access_entry(**CLUSTER, principalArn=role)["accessEntry"]
        assert entry["type"] == "EC2_LINUX"


def test_what_a_node_needs_is_there_before_it(aws: Clients, stacks: Stacks, nodes: Result) -> None:
    eks = aws("eks")
    assert eks.list_addons(**CLUSTER)["addons"] == [
        "eks-pod-identity-agent",
        "kube-proxy",
        "vpc-cni",
    ]
    cni = eks.describe_addon(**CLUSTER, addonName="vpc-cni")["addon"]
    assert "enableNetworkPolicy" in cni["configurationValues"]
    listed = eks.list_pod_identity_associations(**CLUSTER)["associations"]
    owned = {one["serviceAccount"]: one.get("ownerArn") for one in listed}
    assert owned == {
        "aws-node": cni["addonArn"],
        "cluster-autoscaler-aws-cluster-autoscaler": None,
    }
    made = {name: one["createdAt"] for name, one in groups(aws, nodes).items()}
    assert min(made.values()) > cni["createdAt"]
    assert {"VpcCniRole", "AutoscalerRole"} <= stacks.resources(NAME).keys()


def test_the_autoscaler_changes_no_other_clusters_groups(aws: Clients, nodes: Result) -> None:
    name = nodes.outputs["AutoscalerRoleArn"].rsplit("/", 1)[1]
    policy = aws("iam").get_role_policy(RoleName=name, PolicyName="scale")["PolicyDocument"]
    statements = {one["Sid"]: one for one in policy["Statement"]}
    scale = statements.pop("Scale")
    condition = {"StringEquals": {"aws:ResourceTag/eks:cluster-name": "orders-many"}}
    assert scale["Condition"] == condition
    told = [one["Action"] for one in statements.values()]
    others = {one for some in told for one in ([some] if isinstance(some, str) else some)}
    assert {one.split(":")[1][:3] for one in others} == {"Des", "Get"}


@pytest.mark.usefixtures("nodes")
def test_nothing_changes_when_nothing_has_changed(
    stacks: Stacks, parameters: dict[str, str]
) -> None:
    change_set = stacks.propose(NAME, template("nodes"), **parameters)
    assert change_set["Status"] == "FAILED"
    assert "didn't contain changes" in change_set["StatusReason"]


def test_changes_are_made_in_place(
    aws: Clients, stacks: Stacks, nodes: Result, parameters: dict[str, str]
) -> None:
    body = template("nodes").replace("Labels: { workload: bastion }", "Labels: { role: tools }")
    body = body.replace("Value: bastion, Effect: NO_SCHEDULE", "Value: tools, Effect: NO_EXECUTE")
    more = {"ApplicationNodesMax": "12", "DatabaseDiskGib": "80", "KubeProxyVersion": "v1.35.2"}
    changed = stacks.deploy(NAME, body, **parameters, **more)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    assert changed.outputs["NodeGroups"] == nodes.outputs["NodeGroups"]
    assert not [one for one in changed.changes if one.get("Replacement") == "True"]
    found = groups(aws, changed)
    assert found["ApplicationNodes"]["scalingConfig"]["maxSize"] == 12
    database = found["DatabaseNodesB"]
    assert database["launchTemplate"]["version"] == "2"
    assert launched(aws, database)["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 80
    bastion = found["BastionNodes"]
    assert bastion["labels"] == {"role": "tools"}
    assert bastion["taints"] == [{"key": "workload", "value": "tools", "effect": "NO_EXECUTE"}]
    proxy = aws("eks").describe_addon(**CLUSTER, addonName="kube-proxy")["addon"]
    assert proxy["addonVersion"] == "v1.35.2"
    back = stacks.deploy(NAME, template("nodes"), **parameters)
    assert (back.status, back.reasons) == ("UPDATE_COMPLETE", [])
    assert groups(aws, back)["DatabaseNodesB"]["launchTemplate"]["version"] == "3"


def test_other_machines_are_another_group(
    aws: Clients, stacks: Stacks, nodes: Result, parameters: dict[str, str]
) -> None:
    arm = {"ApplicationInstanceTypes": "m7g.large", "ApplicationArchitecture": "arm64"}
    changed = stacks.deploy(NAME, template("nodes"), **parameters, **arm)
    assert (changed.status, changed.reasons) == ("UPDATE_COMPLETE", [])
    group = groups(aws, changed)["ApplicationNodes"]
    assert (group["amiType"], group["instanceTypes"]) == ("AL2023_ARM_64_STANDARD", ["m7g.large"])
    assert "ApplicationNodes" in stacks.resources(NAME)
    (before, *others), (now, *left) = (
        one.outputs["NodeGroups"].split(",") for one in (nodes, changed)
    )
    assert before != now
    assert left == others
    assert len(aws("eks").list_nodegroups(**CLUSTER)["nodegroups"]) == len(KINDS)
    back = stacks.deploy(NAME, template("nodes"), **parameters)
    nodes.outputs["NodeGroups"] = back.outputs["NodeGroups"]


def rules(permissions: list[dict[str, Any]]) -> set[tuple[int, str]]:
    """Give the ports of rules with whom they are for."""
    return {
        (one["FromPort"], other.get("CidrIp") or other["GroupId"])
        for one in permissions
        for other in one["IpRanges"] + one["UserIdGroupPairs"]
    }


LISTED = {"BastionNetwork1": "203.0.113.0/24", "BastionNetwork2": "198.51.100.7/32"}


@pytest.fixture
def opened(
    aws: Clients, stacks: Stacks, nodes: Result, parameters: dict[str, str]
) -> Iterator[Result]:
    elb, role = aws("elbv2"), {"RoleName": nodes.outputs["BastionRoleArn"].rsplit("/", 1)[1]}
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    before = stacks.resources(NAME).keys()
    opened = stacks.deploy(NAME, template("nodes"), **parameters, **LISTED)
    assert (opened.status, opened.reasons) == ("UPDATE_COMPLETE", [])
    yield opened
    closed = stacks.deploy(NAME, template("nodes"), **parameters)
    assert (closed.status, closed.reasons) == ("UPDATE_COMPLETE", [])
    assert stacks.resources(NAME).keys() == before
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert elb.describe_target_groups()["TargetGroups"] == []
    data = launched(aws, groups(aws, closed)["BastionNodes"])
    assert not {"SecurityGroupIds", "UserData"} & data.keys()
    assert aws("iam").list_role_policies(**role)["PolicyNames"] == []
    assert drifted(detect(aws("cloudformation"), NAME)) == {}


def test_people_enter_from_listed_networks_when_some_are(
    aws: Clients, opened: Result, parameters: dict[str, str]
) -> None:
    (entry,) = aws("elbv2").describe_load_balancers()["LoadBalancers"]
    assert (entry["Type"], entry["Scheme"]) == ("network", "internet-facing")
    assert entry["DNSName"] == opened.outputs["BastionEntryDnsName"]
    subnets = [zone["SubnetId"] for zone in entry["AvailabilityZones"]]
    assert sorted(subnets) == sorted(parameters["PublicSubnetIds"].split(","))
    (outer,) = entry["SecurityGroups"]
    nodes_group, own = launched(aws, groups(aws, opened)["BastionNodes"])["SecurityGroupIds"]
    assert nodes_group == parameters["ClusterSecurityGroupId"]
    told = aws("ec2").describe_security_groups(GroupIds=[outer, own])["SecurityGroups"]
    found = {one["GroupId"]: one for one in told}
    assert rules(found[outer]["IpPermissions"]) == {(22, network) for network in LISTED.values()}
    assert rules(found[outer]["IpPermissionsEgress"]) == {(22, own)}
    assert rules(found[own]["IpPermissions"]) == {(22, outer)}


def test_the_bastion_enters_its_target_group_and_no_other(
    aws: Clients, nodes: Result, opened: Result
) -> None:
    elb = aws("elbv2")
    (entry,) = elb.describe_load_balancers()["LoadBalancers"]
    (listener,) = elb.describe_listeners(LoadBalancerArn=entry["LoadBalancerArn"])["Listeners"]
    assert (listener["Port"], listener["Protocol"]) == (22, "TCP")
    (targets,) = elb.describe_target_groups()["TargetGroups"]
    assert (targets["TargetType"], targets["Port"]) == ("instance", 22)
    assert listener["DefaultActions"][0]["TargetGroupArn"] == targets["TargetGroupArn"]
    data = launched(aws, groups(aws, opened)["BastionNodes"])
    script = base64.b64decode(data["UserData"]).decode()
    assert f"--target-group-arn {targets['TargetGroupArn']}" in script
    name = nodes.outputs["BastionRoleArn"].rsplit("/", 1)[1]
    policy = aws("iam").get_role_policy(RoleName=name, PolicyName="entry")["PolicyDocument"]
    (statement,) = policy["Statement"]
    assert statement["Action"] == "elasticloadbalancing:RegisterTargets"
    assert statement["Resource"] == targets["TargetGroupArn"]


@pytest.mark.usefixtures("opened")
def test_a_list_that_was_widened_is_found(
    aws: Clients, stacks: Stacks, parameters: dict[str, str]
) -> None:
    same = stacks.propose(NAME, template("nodes"), **parameters, **LISTED)
    assert "didn't contain changes" in same["StatusReason"]
    group = stacks.resources(NAME)["BastionEntryGroup"]["PhysicalResourceId"]
    network = {"GroupId": group, "IpPermissions": [EVERYBODY]}
    aws("ec2").authorize_security_group_ingress(**network)
    assert drifted(detect(aws("cloudformation"), NAME)).keys() == {"BastionEntryGroup"}
    aws("ec2").revoke_security_group_ingress(**network)


def test_the_whole_internet_is_no_list() -> None:
    """LocalStack does not look at the patterns of parameters."""
    patterns = re.findall(
        r"BastionNetwork\d:.*?AllowedPattern: (\S+)", template("nodes"), re.DOTALL
    )
    assert len(patterns) == 3
    for pattern in patterns:
        fits = {one for one in ("", *NETWORKS) if re.fullmatch(pattern, one)}
        assert fits == {"", "203.0.113.0/24", "10.1.0.0/16", "198.51.100.7/32"}


def test_what_does_not_fit_is_refused(
    stacks: Stacks, aws: Clients, nodes: Result, parameters: dict[str, str]
) -> None:
    refusals = {
        "desiredSize can't be greater": {"ApplicationNodesMax": "2"},
        "does not fit the cluster's, 1.35": {"KubernetesVersion": "1.36"},
    }
    for reason, wrong in refusals.items():
        refused = stacks.deploy(NAME, template("nodes"), **parameters, **wrong)
        assert refused.status == "UPDATE_ROLLBACK_COMPLETE"
        assert any(reason in one for one in refused.reasons), refused.reasons
    with pytest.raises(ClientError, match="nodegroups attached"):
        aws("eks").delete_cluster(name="orders-many")
    assert groups(aws, nodes)["ApplicationNodes"]["version"] == "1.35"


def test_drift_is_found(aws: Clients, stacks: Stacks, nodes: Result) -> None:
    client = aws("cloudformation")
    found = detect(client, NAME)
    assert drifted(found) == {}
    assert found.keys() == stacks.resources(NAME).keys()
    group = {**CLUSTER, "nodegroupName": groups(aws, nodes)["BastionNodes"]["nodegroupName"]}
    aws("eks").update_nodegroup_config(**group, taints={"removeTaints": [TAINT]})
    aws("eks").update_addon(**CLUSTER, addonName="vpc-cni", configurationValues="{}")
    differences = drifted(detect(client, NAME))
    assert [(kind, path) for kind, path, *_ in differences["BastionNodes"]] == [
        ("REMOVE", "/Taints/0")
    ]
    assert differences["VpcCni"][0][1] == "/ConfigurationValues"
    assert len(differences) == 2
    aws("eks").update_nodegroup_config(**group, taints={"addOrUpdateTaints": [TAINT]})


TAINT = {"key": "workload", "value": "bastion", "effect": "NO_SCHEDULE"}
EVERYBODY = {
    "IpProtocol": "tcp",
    "FromPort": 22,
    "ToPort": 22,
    "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
}
NETWORKS = (
    *("0.0.0.0/0", "10.0.0.0/8", "128.0.0.0/1", "10.0.0.0/33"),
    *("10.1.0.0/16", "198.51.100.7/32", "203.0.113.0/24"),
)
