"""What stands before an environment, read from its services."""

from typing import Any

from localstack_eks.cloudformation.live import GoneError, only, reads
from localstack_eks.provider import Model
from localstack_eks.resources.firewalls import which


@reads("AWS::ElasticLoadBalancingV2::LoadBalancer")
def load_balancer(aws: Any, model: Model) -> Model:
    """Read a load balancer."""
    arn = model["LoadBalancerArn"]
    found = only(aws.elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"])
    told = aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    said = {attribute["Key"] for attribute in model["LoadBalancerAttributes"]}
    live = {name: found.get(name) for name in ("IpAddressType", "Scheme", "SecurityGroups", "Type")}
    return live | {
        "LoadBalancerAttributes": [one for one in told if one["Key"] in said],
        "Subnets": [zone["SubnetId"] for zone in found["AvailabilityZones"]],
    }


@reads("AWS::ElasticLoadBalancingV2::Listener")
def listener(aws: Any, model: Model) -> Model:
    """Read what a load balancer listens to."""
    found = only(aws.elbv2.describe_listeners(ListenerArns=[model["ListenerArn"]])["Listeners"])
    names = ("LoadBalancerArn", "Port", "Protocol", "SslPolicy")
    shown = [{"CertificateArn": one["CertificateArn"]} for one in found.get("Certificates", [])]
    return {name: found.get(name) for name in names} | {"Certificates": shown}


@reads("AWS::ElasticLoadBalancingV2::TargetGroup")
def target_group(aws: Any, model: Model) -> Model:
    """Read where requests are sent."""
    arn = model["TargetGroupArn"]
    found = only(aws.elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"])
    told = aws.elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    said = {attribute["Key"] for attribute in model.get("TargetGroupAttributes", [])}
    names = (
        *("HealthCheckIntervalSeconds", "HealthCheckPath", "HealthCheckPort", "Matcher"),
        *("HealthCheckProtocol", "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "Port"),
        *("Protocol", "TargetType", "UnhealthyThresholdCount", "VpcId"),
    )
    attributes = {"TargetGroupAttributes": [one for one in told if one["Key"] in said]}
    return {name: found.get(name) for name in names} | attributes


@reads("AWS::EC2::SecurityGroup")
def security_group(aws: Any, model: Model) -> Model:
    """Read a security group with its rules."""
    found = only(aws.ec2.describe_security_groups(GroupIds=[model["GroupId"]])["SecurityGroups"])
    ways = {
        "SecurityGroupIngress": ("IpPermissions", "SourceSecurityGroupId"),
        "SecurityGroupEgress": ("IpPermissionsEgress", "DestinationSecurityGroupId"),
    }
    rules = {
        name: [one for permission in found[key] for one in written(permission, other)]
        for name, (key, other) in ways.items()
    }
    return {"GroupDescription": found["Description"], "VpcId": found["VpcId"]} | rules


def written(permission: Model, other: str) -> list[Model]:
    """Spell a permission as the rules of a template."""
    ports = {name: permission.get(name) for name in ("FromPort", "IpProtocol", "ToPort")}
    ranges = [
        {"CidrIp": one["CidrIp"], "Description": one.get("Description")}
        for one in permission["IpRanges"]
    ]
    groups = [
        {other: one["GroupId"], "Description": one.get("Description")}
        for one in permission["UserIdGroupPairs"]
    ]
    return [ports | one for one in ranges + groups]


@reads("AWS::EC2::SecurityGroupIngress")
def ingress(aws: Any, model: Model) -> Model:
    """Read a rule of a security group."""
    found = security_group(aws, model | {"GroupDescription": "", "VpcId": ""})
    ports = {name: str(model[name]) for name in ("FromPort", "ToPort")}
    for rule in found["SecurityGroupIngress"]:
        here = {name: str(rule[name]) for name in ports}
        if here == ports and rule.get("SourceSecurityGroupId") == model["SourceSecurityGroupId"]:
            return rule
    raise GoneError(model)


@reads("AWS::WAFv2::WebACL")
def web_acl(aws: Any, model: Model) -> Model:
    """Read a firewall."""
    found = aws.wafv2.get_web_acl(**which(model))["WebACL"]
    names = ("DefaultAction", "Description", "Rules", "VisibilityConfig")
    return {name: said(found.get(name)) for name in names}


def said(value: Any) -> Any:
    """Give a value without what is not there."""
    if isinstance(value, dict):
        return {name: said(inner) for name, inner in value.items() if inner is not None}
    return [said(inner) for inner in value] if isinstance(value, list) else value


@reads("AWS::WAFv2::WebACLAssociation")
def web_acl_association(aws: Any, model: Model) -> Model:
    """Read which firewall something has."""
    found = aws.wafv2.get_web_acl_for_resource(ResourceArn=model["ResourceArn"])
    if not found.get("WebACL"):
        raise GoneError(model)
    return {"WebACLArn": found["WebACL"]["ARN"]}
