#!/usr/bin/python3
"""Patroni's callback: a new leader takes the label "master" off every other pod of its cluster.

With ConfigMaps the read-write service selects by label. The pod of a lost
node keeps its label, and counts as ready until the node is declared lost, so
without this half of the new connections would go to a dead pod. A pod that
comes back sets its own label right itself.
"""

import json
import os
import ssl
import sys
import time
import urllib.request

import contract

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
LEADING_ROLES = ("primary", "master", "promoted", "standby_leader")
ATTEMPTS = 10


class Api:
    """The few calls of the API server that are needed, in one namespace."""

    def __init__(self, environment):
        host = environment["KUBERNETES_SERVICE_HOST"]
        host = f"[{host}]" if ":" in host else host
        port = contract.value(environment, "KUBERNETES_SERVICE_PORT", "443")
        namespace = environment["POD_NAMESPACE"]
        self.base = f"https://{host}:{port}/api/v1/namespaces/{namespace}"
        self.tls = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")

    def call(self, path, method="GET", body=None):
        with open(f"{ACCOUNT}/token", encoding="ascii") as file:
            token = file.read().strip()
        request = urllib.request.Request(
            f"{self.base}/{path}",
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/strategic-merge-patch+json",
            },
        )
        with urllib.request.urlopen(request, context=self.tls, timeout=5) as answer:
            return json.load(answer)


def take_over(api, scope, me, scope_label, role_label):
    """Removes the label from the other pods, if this member still leads."""
    leader = api.call(f"configmaps/{scope}-leader")["metadata"].get("annotations", {})
    if leader.get("leader") != me:
        return []
    others = [
        pod["metadata"]["name"]
        for pod in api.call(f"pods?labelSelector={scope_label}={scope},{role_label}=master")["items"]
        if pod["metadata"]["name"] != me
    ]
    for name in others:
        api.call(f"pods/{name}", "PATCH", {"metadata": {"labels": {role_label: None}}})
    return others


def main(arguments, environment):
    _, role, scope = (arguments + ["", "", ""])[:3]
    if role not in LEADING_ROLES or not contract.uses_config_maps(environment):
        return
    api = Api(environment)
    scope_label = contract.value(environment, "KUBERNETES_SCOPE_LABEL", "cluster-name")
    role_label = contract.value(environment, "KUBERNETES_ROLE_LABEL", "spilo-role")
    for _ in range(ATTEMPTS):
        try:
            for name in take_over(api, scope, environment["HOSTNAME"], scope_label, role_label):
                print("on_role_change: label taken off", name, flush=True)
            return
        except OSError as error:
            print("on_role_change:", error, flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
