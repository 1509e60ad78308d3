"""Service Quotas: the limits that matter to the stacks. What is asked for is granted at once.

Nothing here is held to a limit.
"""

from localstack.aws.api import RequestContext
from localstack.services.plugins import Service, aws_provider
from localstack.services.stores import AccountRegionBundle, BaseStore, LocalAttribute

from localstack_eks.eks.store import Document, identifier
from localstack_eks.serve import Operation, error, now, serve

DEFAULTS = {
    ("ec2", "L-0263D0A3"): ("EC2-VPC Elastic IPs", 5.0),
    ("ec2", "L-1216C47A"): (
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        5.0,
    ),
    ("eks", "L-1194D53C"): ("Clusters", 100.0),
    ("vpc", "L-F678F1CE"): ("VPCs per Region", 5.0),
    ("vpc", "L-FE5A380F"): ("NAT gateways per Availability Zone", 5.0),
}
"""What an account has that never asked for more."""


class QuotasStore(BaseStore):
    """What an account was granted in a region."""

    granted: dict[tuple[str, str], float] = LocalAttribute(default=dict)


stores = AccountRegionBundle("service-quotas", QuotasStore)


def _granted(context: RequestContext) -> dict[tuple[str, str], float]:
    return stores[context.account_id][context.region].granted


def _key(request: Document) -> tuple[str, str]:
    key = (request["ServiceCode"], request["QuotaCode"])
    if key not in DEFAULTS:
        raise _missing()
    return key


def _missing() -> Exception:
    message = "The request failed because the specified service quota does not exist."
    return error("NoSuchResourceException", message)


def _quota(context: RequestContext, key: tuple[str, str], value: float) -> Document:
    (service, code), place = key, (context.region, context.account_id)
    return {
        "Quota": {
            "ServiceCode": service,
            "QuotaArn": ":".join(("arn:aws:servicequotas", *place, f"{service}/{code}")),
            "QuotaCode": code,
            "QuotaName": DEFAULTS[key][0],
            "Value": value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
    }


def default(context: RequestContext, request: Document) -> Document:
    """Show what every account has."""
    key = _key(request)
    return _quota(context, key, DEFAULTS[key][1])


def applied(context: RequestContext, request: Document) -> Document:
    """Show what the account was granted; one that was granted nothing has no quota of its own."""
    key = _key(request)
    granted = _granted(context).get(key)
    if granted is None:
        raise _missing()
    return _quota(context, key, granted)


def ask(context: RequestContext, request: Document) -> Document:
    """Grant more."""
    key, value = _key(request), float(request["DesiredValue"])
    if value <= _granted(context).get(key, DEFAULTS[key][1]):
        message = "You must provide a quota value greater than the current quota value."
        raise error("IllegalArgumentException", message)
    _granted(context)[key] = value
    return {
        "RequestedQuota": {
            "Id": identifier(),
            "ServiceCode": key[0],
            "QuotaCode": key[1],
            "QuotaName": DEFAULTS[key][0],
            "DesiredValue": value,
            "Status": "APPROVED",
            "Created": now(),
            "LastUpdated": now(),
        }
    }


OPERATIONS: dict[str, Operation] = {
    "GetAWSDefaultServiceQuota": default,
    "GetServiceQuota": applied,
    "RequestServiceQuotaIncrease": ask,
}


@aws_provider(api="service-quotas")
def service() -> Service:
    """Build the service."""
    return serve("service-quotas", OPERATIONS)
