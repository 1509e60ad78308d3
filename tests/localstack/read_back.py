"""Reads an environment back from AWS, as JSON: what CloudFormation says and what is really there.

`python read_back.py NAME`, NAME being `<project>-<environment>`; AWS is where the environment says.
"""

import json
import sys
from collections import Counter
from typing import Any

import boto3


def stacks(name: str) -> dict[str, Any]:
    """List the stacks of an environment with the resources that are in them."""
    client = boto3.client("cloudformation")
    found = {}
    for page in client.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if not stack["StackName"].startswith(f"{name}-"):
                continue
            pages = client.get_paginator("list_stack_resources")
            resources = [
                resource
                for listed in pages.paginate(StackName=stack["StackId"])
                for resource in listed["StackResourceSummaries"]
            ]
            found[stack["StackName"]] = {
                "status": stack["StackStatus"],
                "role": stack.get("RoleARN"),
                "outputs": {
                    output["OutputKey"]: output["OutputValue"]
                    for output in stack.get("Outputs", [])
                },
                "types": Counter(resource["ResourceType"] for resource in resources),
                "incomplete": sorted(
                    resource["LogicalResourceId"]
                    for resource in resources
                    if not resource["ResourceStatus"].endswith("_COMPLETE")
                    or resource.get("PhysicalResourceId", "unknown") == "unknown"
                ),
            }
    return found


def tags(resource: dict[str, Any]) -> dict[str, str]:
    """Give a resource's tags."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def network(name: str) -> dict[str, Any]:
    """Read the network of an environment from EC2."""
    client = boto3.client("ec2")
    named = [{"Name": "tag:Name", "Values": [name]}]
    vpcs = client.describe_vpcs(Filters=named)["Vpcs"]
    here = [{"Name": "vpc-id", "Values": [vpc["VpcId"] for vpc in vpcs]}]
    subnets = client.describe_subnets(Filters=here)["Subnets"] if vpcs else []
    gateways = client.describe_nat_gateways(Filters=here)["NatGateways"] if vpcs else []
    endpoints = client.describe_vpc_endpoints(Filters=here)["VpcEndpoints"] if vpcs else []
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
    return {
        "vpcs": [vpc["CidrBlock"] for vpc in vpcs],
        "subnets": [
            {
                "zone": subnet["AvailabilityZone"],
                "tier": tags(subnet).get("Tier", ""),
                "cidr": subnet["CidrBlock"],
            }
            for subnet in subnets
        ],
        "nat_gateways": sorted(
            zone_of[gateway["SubnetId"]] for gateway in gateways if gateway["State"] == "available"
        ),
        "endpoints": sorted(endpoint["ServiceName"] for endpoint in endpoints),
    }


def cluster(name: str) -> dict[str, Any] | None:
    """Read the cluster of an environment from EKS."""
    client = boto3.client("eks")
    if name not in client.list_clusters()["clusters"]:
        return None
    found = client.describe_cluster(name=name)["cluster"]
    return {
        "status": found["status"],
        "version": found["version"],
        "endpoint": found["endpoint"],
        "certificate_authority": found["certificateAuthority"]["data"],
        "encrypted": [one["resources"] for one in found["encryptionConfig"]],
        "access_entries": len(client.list_access_entries(clusterName=name)["accessEntries"]),
    }


def unbounded_roles(name: str) -> list[str]:
    """List the roles of an environment's layers that have no boundary."""
    client = boto3.client("iam")
    pages = client.get_paginator("list_roles").paginate()
    names = [role["RoleName"] for page in pages for role in page["Roles"] if role["Path"] == "/"]
    found = [client.get_role(RoleName=one)["Role"] for one in names if one.startswith(f"{name}-")]
    return sorted(role["RoleName"] for role in found if "PermissionsBoundary" not in role)


def data(outputs: dict[str, str]) -> dict[str, Any]:
    """Read what holds data from S3, ECR and AWS Backup."""
    s3, bucket = boto3.client("s3"), {"Bucket": outputs["WalBucketName"]}
    encryption = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]
    lock = s3.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"]
    ecr, repository = boto3.client("ecr"), outputs["ImageRepositoryArn"].split("repository/")[1]
    images = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]
    backup, plan = boto3.client("backup"), {"BackupPlanId": outputs["BackupPlanId"]}
    rules = backup.get_backup_plan(**plan)["BackupPlan"]["Rules"]
    return {
        "versioning": s3.get_bucket_versioning(**bucket)["Status"],
        "locked_days": lock["Rule"]["DefaultRetention"]["Days"],
        "encryption": encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
        "tags": images["imageTagMutability"],
        "scan": images["imageScanningConfiguration"]["scanOnPush"],
        "backup_vaults": [rule["TargetBackupVaultName"] for rule in rules],
        "backup_selections": len(backup.list_backup_selections(**plan)["BackupSelectionsList"]),
    }


def entry(dns_name: str | None) -> dict[str, list[str]]:
    """Read which networks reach which ports of the bastion's public entry."""
    balancers = boto3.client("elbv2").describe_load_balancers()["LoadBalancers"]
    mine = [one for one in balancers if one["DNSName"] == dns_name]
    ids = [group for one in mine for group in one["SecurityGroups"]]
    ec2 = boto3.client("ec2")
    found = ec2.describe_security_groups(GroupIds=ids)["SecurityGroups"] if ids else []
    return {
        str(rule["FromPort"]): sorted(one["CidrIp"] for one in rule["IpRanges"])
        for group in found
        for rule in group["IpPermissions"]
    }


def nodes(name: str, outputs: dict[str, str]) -> dict[str, Any]:
    """Read the node groups and add-ons from EKS, and the groups' machines from EC2."""
    eks, ec2, cluster = boto3.client("eks"), boto3.client("ec2"), {"clusterName": name}
    found = []
    for group in eks.list_nodegroups(**cluster)["nodegroups"]:
        told = eks.describe_nodegroup(**cluster, nodegroupName=group)["nodegroup"]
        template = {"LaunchTemplateId": told["launchTemplate"]["id"]}
        versions = ec2.describe_launch_template_versions(
            **template, Versions=[told["launchTemplate"]["version"]]
        )
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        subnets = ec2.describe_subnets(SubnetIds=told["subnets"])["Subnets"]
        found.append(
            {
                "workload": told["labels"]["workload"],
                "status": told["status"],
                "version": told["version"],
                "tainted": bool(told["taints"]),
                "tiers": sorted({tags(subnet)["Tier"] for subnet in subnets}),
                "zones": sorted(subnet["AvailabilityZone"] for subnet in subnets),
                "tokens": data["MetadataOptions"]["HttpTokens"],
                "hops": data["MetadataOptions"]["HttpPutResponseHopLimit"],
                "encrypted": all(disk["Ebs"]["Encrypted"] for disk in data["BlockDeviceMappings"]),
            }
        )
    addons = eks.list_addons(**cluster)["addons"]
    told = [eks.describe_addon(**cluster, addonName=one)["addon"] for one in addons]
    return {
        "groups": found,
        "entry": entry(outputs.get("BastionEntryDnsName")),
        "add_ons": {one["addonName"]: one["status"] for one in told},
    }


def edge(outputs: dict[str, str]) -> dict[str, Any]:
    """Read what stands before an environment from ELB."""
    elb, arn = boto3.client("elbv2"), {"LoadBalancerArn": outputs["LoadBalancerArn"]}
    balancer = elb.describe_load_balancers(LoadBalancerArns=list(arn.values()))["LoadBalancers"][0]
    attributes = elb.describe_load_balancer_attributes(**arn)["Attributes"]
    listeners = elb.describe_listeners(**arn)["Listeners"]
    targets = [outputs["RouterTargetGroupArn"]]
    group = elb.describe_target_groups(TargetGroupArns=targets)["TargetGroups"][0]
    return {
        "dns_name": balancer["DNSName"],
        "scheme": balancer["Scheme"],
        "zones": sorted(zone["ZoneName"] for zone in balancer["AvailabilityZones"]),
        "listeners": {
            str(one["Port"]): one.get("SslPolicy") if one["Protocol"] == "HTTPS" else None
            for one in listeners
        },
        "logs": {"Key": "access_logs.s3.enabled", "Value": "true"} in attributes,
        "firewall": firewall(arn["LoadBalancerArn"]),
        "target_type": group["TargetType"],
        "health": group["HealthCheckPath"],
    }


def firewall(balancer: str) -> list[str]:
    """Read what a load balancer's firewall has rules for."""
    found = boto3.client("wafv2").get_web_acl_for_resource(ResourceArn=balancer).get("WebACL")
    return [rule["Name"] for rule in found["Rules"]] if found else []


def names(zone: dict[str, str], edge: dict[str, str]) -> dict[str, Any]:
    """Read the names of an environment from Route 53 and ACM."""
    route53, mine = boto3.client("route53"), zone["HostedZoneId"]
    listed = route53.list_resource_record_sets(HostedZoneId=mine)["ResourceRecordSets"]
    arn = {"CertificateArn": edge["ShownCertificateArn"]}
    found = boto3.client("acm").describe_certificate(**arn)["Certificate"]
    records = [option["ResourceRecord"]["Name"] for option in found["DomainValidationOptions"]]
    return {
        "zone": route53.get_hosted_zone(Id=mine)["HostedZone"]["Name"],
        "aliases": {
            one["Name"]: one["AliasTarget"]["DNSName"] for one in listed if "AliasTarget" in one
        },
        "certificate": found["Status"],
        "validated": set(records) <= {one["Name"] for one in listed if one["Type"] == "CNAME"},
        "covers": sorted(found["SubjectAlternativeNames"]),
    }


def watching(name: str, outputs: dict[str, str]) -> dict[str, Any]:
    """Read what watches an environment from CloudWatch, SNS, EventBridge and EKS."""
    cloudwatch, sns = boto3.client("cloudwatch"), boto3.client("sns")
    kinds = ("Critical", "Warning")
    topics = {outputs[f"{kind}TopicArn"]: kind.lower() for kind in kinds}
    prefix = f"{name}-observability-"
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    rules = boto3.client("events").list_rules(NamePrefix=f"{name}-")["Rules"]
    identities = boto3.client("eks").list_pod_identity_associations(clusterName=name)
    return {
        "alarms": {
            alarm["AlarmName"].removeprefix(prefix).split("-")[0]: [
                topics.get(action, action) for action in alarm["AlarmActions"]
            ]
            for alarm in alarms
        },
        "told": {
            kind: sorted(
                one["Endpoint"]
                for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
            )
            for topic, kind in topics.items()
        },
        "dashboard": len(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]),
        "rules": len(rules),
        "identities": sorted(one["serviceAccount"] for one in identities["associations"]),
    }


def main() -> None:
    """Print it."""
    name = sys.argv[1]
    found = {
        "stacks": stacks(name),
        "network": network(name),
        "cluster": cluster(name),
        "unbounded_roles": unbounded_roles(name),
    }
    if kept := found["stacks"].get(f"{name}-data"):
        found["data"] = data(kept["outputs"])
    if shown := found["stacks"].get(f"{name}-edge"):
        found["edge"] = edge(shown["outputs"])
    named = [found["stacks"].get(f"{name}-{layer}") for layer in ("zone", "edge")]
    if all(named):
        found["names"] = names(*(stack["outputs"] for stack in named))
    if machines := found["stacks"].get(f"{name}-nodes"):
        found["nodes"] = nodes(name, machines["outputs"])
    if watched := found["stacks"].get(f"{name}-observability"):
        found["watching"] = watching(name, watched["outputs"])
    json.dump(found, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
