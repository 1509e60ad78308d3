"""The public DNS, as far as it says which name servers the public zones of Route 53 have.

It answers by UDP at the port of LocalStack. Every zone is delegated as soon as it is there.
"""

from typing import Any

from dnslib import NS, QTYPE, RCODE, RR
from dnslib.server import BaseResolver, DNSServer
from localstack import config
from localstack.aws.connect import connect_to
from localstack.constants import DEFAULT_AWS_ACCOUNT_ID
from localstack.runtime import hooks

TTL_SECONDS = 1


def zones() -> dict[str, list[str]]:
    """Give the name servers of each public zone."""
    route53 = connect_to(aws_access_key_id=DEFAULT_AWS_ACCOUNT_ID).route53
    pages = route53.get_paginator("list_hosted_zones").paginate()
    every = [zone for page in pages for zone in page["HostedZones"]]
    return {
        zone["Name"]: route53.get_hosted_zone(Id=zone["Id"])["DelegationSet"]["NameServers"]
        for zone in every
        if not zone["Config"]["PrivateZone"]
    }


class Resolver(BaseResolver):
    """Answers questions for name servers."""

    def resolve(self, request: Any, handler: Any) -> Any:  # noqa: ARG002
        """Answer one question."""
        reply, known = request.reply(), zones()
        name = str(request.q.qname).lower()
        if not any(f".{name}".endswith(f".{zone}") for zone in known):
            reply.header.rcode = RCODE.NXDOMAIN
        elif request.q.qtype == QTYPE.NS:
            for server in known.get(name, []):
                reply.add_answer(RR(name, QTYPE.NS, rdata=NS(server), ttl=TTL_SECONDS))
        return reply


@hooks.on_infra_start()
def start() -> None:
    """Answer beside the gateway, until LocalStack ends."""
    listen = config.GATEWAY_LISTEN[0]
    DNSServer(Resolver(), address=listen.host, port=listen.port).start_thread()
