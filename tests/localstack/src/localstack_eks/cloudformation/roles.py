"""Roles that CloudFormation changes stacks as. LocalStack takes any text for one."""

from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to


def is_of_cloudformation(context: RequestContext, arn: str) -> bool:
    """Say whether there is such a role, and CloudFormation may assume it."""
    iam = connect_to(aws_access_key_id=context.account_id, region_name=context.region).iam
    name = arn.rsplit("/", 1)[-1]
    try:
        role = iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        return False
    statements = role["AssumeRolePolicyDocument"]["Statement"]
    services = [statement["Principal"].get("Service") for statement in statements]
    return role["Arn"] == arn and "cloudformation.amazonaws.com" in services
