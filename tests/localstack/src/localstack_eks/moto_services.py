"""Services that LocalStack's community edition lacks and moto, which comes with it, answers for."""

from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.moto import _proxy_moto
from localstack.services.plugins import Service, aws_provider


def by_moto(api: str) -> Service:
    """Build a service."""
    spec = load_service(api)
    return Service(
        name=api, skeleton=Skeleton(spec, dict.fromkeys(spec.operation_names, _proxy_moto))
    )


@aws_provider(api="ecr")
def ecr() -> Service:
    """Build ECR: repositories with their tags and policies, and no registry behind them."""
    return by_moto("ecr")


@aws_provider(api="elbv2")
def elbv2() -> Service:
    """Build ELB: load balancers that nothing reaches."""
    return by_moto("elbv2")


@aws_provider(api="wafv2")
def wafv2() -> Service:
    """Build WAF: firewalls that no request goes through."""
    return by_moto("wafv2")
