"""Warms LocalStack up, or counts what is in it: `emulator.py warm TEMPLATE`, `emulator.py count`.

Where it is says the environment.
"""

import json
import sys
import time
from pathlib import Path

import boto3

STACK = "warm-up"


def warm(template: Path) -> None:
    """Make a stack and delete it, so that nobody else waits for what is loaded at the first use."""
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName=STACK,
        TemplateBody=template.read_text(),
        Parameters=[
            {"ParameterKey": "Project", "ParameterValue": "warm"},
            {"ParameterKey": "Environment", "ParameterValue": "up"},
        ],
        Capabilities=["CAPABILITY_IAM"],
    )
    await_end("CREATE")
    identifier = client.detect_stack_drift(StackName=STACK)["StackDriftDetectionId"]
    client.describe_stack_drift_detection_status(StackDriftDetectionId=identifier)
    client.delete_stack(StackName=STACK)
    await_end("DELETE")


def await_end(action: str) -> None:
    """Wait until the stack is made or gone."""
    client = boto3.client("cloudformation")
    while True:
        stacks = client.describe_stacks()["Stacks"]
        states = [stack["StackStatus"] for stack in stacks if stack["StackName"] == STACK]
        if states in ([], [f"{action}_COMPLETE"]):
            return
        if states != [f"{action}_IN_PROGRESS"]:
            sys.exit(f"the stack is {states}")
        time.sleep(0.3)


def count() -> dict[str, int]:
    """Count what a network consists of; a VPC's own route table came with it."""
    ec2, iam, logs = (boto3.client(name) for name in ("ec2", "iam", "logs"))
    boto3.client("sts").get_caller_identity()
    gateways = ec2.describe_internet_gateways()["InternetGateways"]
    tables = ec2.describe_route_tables()["RouteTables"]
    links = [link for table in tables for link in table["Associations"]]
    routes = [route for table in tables for route in table["Routes"]]
    available = [{"Name": "state", "Values": ["available"]}]
    return {
        "VPC": len(ec2.describe_vpcs()["Vpcs"]),
        "subnets": len(ec2.describe_subnets()["Subnets"]),
        "internet gateway": len(gateways),
        "attachment": sum(len(gateway["Attachments"]) for gateway in gateways),
        "route tables": len(tables) - sum(link["Main"] for link in links),
        "routes": sum(route.get("DestinationCidrBlock") == "0.0.0.0/0" for route in routes),
        "associations": sum(not link["Main"] for link in links),
        "addresses": len(ec2.describe_addresses()["Addresses"]),
        "NAT gateways": len(ec2.describe_nat_gateways(Filter=available)["NatGateways"]),
        "endpoint": len(ec2.describe_vpc_endpoints()["VpcEndpoints"]),
        "log group": len(logs.describe_log_groups()["logGroups"]),
        "role": len(iam.list_roles()["Roles"]),
        "flow log": len(ec2.describe_flow_logs()["FlowLogs"]),
    }


if __name__ == "__main__":
    if sys.argv[1] == "warm":
        warm(Path(sys.argv[2]))
    else:
        json.dump(count(), sys.stdout)
