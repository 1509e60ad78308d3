"""Prints the certificate that an environment's load balancer shows; it is asked for once.

`python certificate.py DOMAIN`; AWS is where the environment says.
"""

import sys

import boto3


def main() -> None:
    """Print its ARN."""
    domain, acm = sys.argv[1], boto3.client("acm")
    known = acm.list_certificates()["CertificateSummaryList"]
    found = [one["CertificateArn"] for one in known if one["DomainName"] == domain]
    if not found:
        made = acm.request_certificate(DomainName=domain, ValidationMethod="DNS")
        found = [made["CertificateArn"]]
    sys.stdout.write(found[0])


if __name__ == "__main__":
    main()
