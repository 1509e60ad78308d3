"""Certificates of ACM, validated by records in zones of Route 53."""

import time
from typing import Any

from localstack.services.cloudformation.resource_provider import ResourceRequest

from localstack_eks.provider import Model, StrictProvider, call, gone, pick, tag_list, tags
from localstack_eks.resources.zones import write

ISSUE_SECONDS = 60
"""How long a certificate is waited for."""


class Certificate(StrictProvider):
    """A certificate whose records CloudFormation writes."""

    type_name = "AWS::CertificateManager::Certificate"
    identifier = "Id"
    plain = ("DomainName", "SubjectAlternativeNames", "ValidationMethod")
    properties = frozenset({"DomainValidationOptions", "Tags", *plain})

    def add(self, aws: Any, model: Model, request: ResourceRequest) -> None:
        arguments = {name: value for name, value in pick(model, *self.plain).items() if value}
        arguments["Tags"] = tag_list(tags(model, request))
        made = call(aws.acm, "request_certificate", **arguments)
        model["Id"] = made["CertificateArn"]
        self._validate(aws, model)

    def change(self, aws: Any, model: Model, before: Model, request: ResourceRequest) -> None:
        mine = {"CertificateArn": model["Id"]}
        if removed := gone(before, model):
            names = [{"Key": name} for name in removed]
            aws.acm.remove_tags_from_certificate(**mine, Tags=names)
        aws.acm.add_tags_to_certificate(**mine, Tags=tag_list(tags(model, request)))

    def remove(self, aws: Any, model: Model) -> None:
        # Its records stay, as they do in AWS: the next certificate for the name has the same.
        aws.acm.delete_certificate(CertificateArn=model["Id"])

    def _validate(self, aws: Any, model: Model) -> None:
        zones = {one["DomainName"]: one["HostedZoneId"] for one in model["DomainValidationOptions"]}
        for option in described(aws, model)["DomainValidationOptions"]:
            record = option["ResourceRecord"]
            write(
                aws,
                "UPSERT",
                {
                    "HostedZoneId": zones[option["DomainName"]],
                    "Name": record["Name"],
                    "Type": record["Type"],
                    "TTL": 300,
                    "ResourceRecords": [{"Value": record["Value"]}],
                },
            )
        deadline = time.monotonic() + ISSUE_SECONDS
        while (status := described(aws, model)["Status"]) != "ISSUED":
            if time.monotonic() > deadline:
                raise TimeoutError(f"the certificate is {status}")
            time.sleep(0.2)


def described(aws: Any, model: Model) -> Model:
    """Describe a certificate."""
    return aws.acm.describe_certificate(CertificateArn=model["Id"])["Certificate"]
