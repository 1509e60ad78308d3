"""A LocalStack of the tests' own, and ways to deploy to it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from stacks import Stacks

READY_SECONDS = 120


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name the file that may hold a kubeconfig; it does not exist yet."""
    return tmp_path_factory.mktemp("cluster") / "kubeconfig"


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory, kubeconfig: Path) -> Iterator[str]:
    """Start LocalStack on a free port, and end it."""
    folder = tmp_path_factory.mktemp("localstack")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    call = [sys.executable, "-m", "localstack_eks", "--port", str(port)]
    call += ["--folder", str(folder), "--kubeconfig", str(kubeconfig)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            call, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process, folder / "log")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until LocalStack answers; fail with its log when it ends instead."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_localstack/health", timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"LocalStack is not ready:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def aws(endpoint: str) -> Callable[[str], Any]:
    """Give clients of services."""
    session = boto3.Session("test", "test", region_name="eu-west-1")
    once = Config(retries={"total_max_attempts": 1})
    return lambda service: session.client(service, endpoint_url=endpoint, config=once)


@pytest.fixture(scope="session")
def stacks(aws: Callable[[str], Any]) -> Stacks:
    """Give the means to deploy."""
    return Stacks(aws("cloudformation"))
