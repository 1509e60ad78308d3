"""Compares recorded requests and answers with GitHub's published description of its API.

Reads a list of exchanges (method, path, request, status, answer) from standard input. Each is made
once more by `githubkit`, which is generated from the description: its request must be the recorded
one, and it must be able to read the recorded answer. An answer whose status the description does
not have for an operation must at least have the form of its errors.
"""

import json
import re
import sys
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from githubkit import GitHub
from githubkit.exception import RequestFailed
from githubkit_schemas.v2022_11_28.models import BasicError
from pydantic import TypeAdapter

COMMENTS = re.compile(r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)/issues/(?P<issue_number>\d+)/comments")
COMMENT = re.compile(r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)/issues/comments/(?P<comment_id>\d+)")
PULLS = re.compile(r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)/commits/(?P<commit_sha>[^/]+)/pulls")
APPROVALS = re.compile(r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)/actions/runs/(?P<run_id>\d+)/approvals")
OPERATIONS = [
    ("GET", COMMENTS, "issues", "list_comments"),
    ("POST", COMMENTS, "issues", "create_comment"),
    ("PATCH", COMMENT, "issues", "update_comment"),
    ("GET", PULLS, "repos", "list_pull_requests_associated_with_commit"),
    ("GET", APPROVALS, "actions", "get_reviews_for_run"),
]


def operation(exchange, path):
    for method, pattern, group, name in OPERATIONS:
        found = pattern.fullmatch(path)
        if exchange["method"] == method and found:
            numbers = {"issue_number", "comment_id", "run_id"}
            return group, name, {k: int(v) if k in numbers else v for k, v in found.groupdict().items()}
    raise AssertionError("the description's operations that are known here do not have it")


def compare(exchange):
    """Gives the operation, and whether the description has the answer's status for it."""
    address = urlsplit(exchange["path"])
    group, name, arguments = operation(exchange, address.path)
    query = parse_qsl(address.query, keep_blank_values=True)
    arguments |= {key: int(value) for key, value in query}
    if exchange["request"] is not None:
        arguments["data"] = exchange["request"]
    sent = []

    def replay(request):
        sent.append(request)
        return httpx.Response(exchange["status"], json=exchange["answer"])

    client = GitHub(transport=httpx.MockTransport(replay), http_cache=False, auto_retry=False)
    described = True
    try:
        answer = getattr(getattr(client.rest("2022-11-28"), group), name)(**arguments)
    except RequestFailed as failed:
        answer = failed.response
        described = answer._data_model is not Any
    request = sent[0]
    made = (request.method, request.url.path, sorted(request.url.params.multi_items()))
    assert made == (exchange["method"], address.path, sorted(query)), f"the description asks {made}"
    body = json.loads(request.content) if request.content else None
    assert body == exchange["request"], f"the description sends {body}"
    model = answer._data_model if described else BasicError
    TypeAdapter(model).validate_json(answer.content, strict=True)
    return name, described


def main():
    exchanges = json.load(sys.stdin)
    assert exchanges, "there is nothing to compare"
    counts = {}
    for exchange in exchanges:
        line = f"{exchange['method']} {exchange['path']} {exchange['status']}"
        if exchange["path"] == "/graphql":
            key = "graphql: not compared, it has another description"
        else:
            try:
                name, described = compare(exchange)
            except Exception as error:
                sys.exit(f"{line}: {error}")
            key = f"{name} {exchange['status']}" + ("" if described else ": compared as any error")
        counts[key] = counts.get(key, 0) + 1
    for key in sorted(counts):
        print(key)


main()
