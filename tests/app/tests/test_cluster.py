"""What the cluster relies on: health, metrics, logs, and an end that loses nothing."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib

import httpx
import pytest
from conftest import APP
from pydantic import ValidationError

from orders import __version__
from orders.settings import Settings

NOWHERE = "postgresql://orders:hunter2@127.0.0.1:1/orders"


def test_a_pod_is_ready_once_both_databases_have_answered(run):
    async def ready(client):
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["checks"] == {"read_write": "ok", "read_only": "ok"}
        client.app.state.drain.started = True
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).headers["Connection"] == "close"

    async def unready(client):
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {
            "read_write": "ok",
            "read_only": "ConnectionRefusedError",
        }
        client.app.state.was_ready = True
        assert (await client.get("/readyz")).json()["status"] == "degraded"

    run(ready)
    run(unready, database_url_ro=NOWHERE)


def test_metrics_know_routes_and_not_paths(run):
    async def scenario(client):
        await client.get("/orders/00000000-0000-0000-0000-000000000000")
        await client.get("/no/such/path")
        text = (await client.get("/metrics")).text
        assert 'http_requests_total{method="GET",route="/orders/{order_id}",status="404"} 1' in text
        assert 'http_requests_total{method="GET",route="unknown",status="404"} 1' in text
        assert 'database_connections_in_use{pool="replica"} 0' in text
        assert f'version="{__version__}"' in text
        assert (await client.get("/version")).json() == {
            "version": __version__,
            "image_digest": "sha256:" + "0" * 64,
        }

    run(scenario)


def test_a_request_keeps_its_id_in_the_answer_and_in_the_log(run, capsys):
    async def scenario(client):
        good = await client.get("/orders", headers={"X-Request-ID": "trace-7"})
        assert good.headers["X-Request-ID"] == "trace-7"
        forged = await client.get("/orders", headers={"X-Request-ID": "a b\tc"})
        assert len(forged.headers["X-Request-ID"]) == 32

    run(scenario)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    access = [line for line in lines if line["logger"] == "orders.access"]
    assert access[0]["request_id"] == "trace-7"
    assert access[0]["route"] == "/orders"
    assert access[0]["status"] == 200


def test_an_error_of_ours_is_a_problem_without_its_details(run, capsys):
    async def scenario(client):
        async def broken(_):
            raise RuntimeError("the password is hunter2")

        client.app.state.databases.write = broken
        answer = await client.patch(
            "/orders/00000000-0000-0000-0000-000000000000", json={"status": "paid"}
        )
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "hunter2" not in answer.text

    run(scenario)
    assert "the password is hunter2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "database_url"),
        ({"database_url": NOWHERE, "port": "0"}, "port"),
        ({"database_url": "mysql://orders:hunter2@db/orders"}, "postgresql+asyncpg://"),
    ],
)
def test_a_wrong_setting_is_named_and_no_password_shown(given, named, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(ValidationError) as raised:
        Settings(**given)
    assert named in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_the_two_versions_are_one():
    project = tomllib.loads((APP / "pyproject.toml").read_text())
    assert project["project"]["version"] == __version__


def test_sigterm_drains_before_it_stops(migrated):
    primary, standby = migrated
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": primary.url,
        "DATABASE_URL_RO": standby.url,
        "PORT": str(port),
        "SHUTDOWN_DRAIN_SECONDS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "orders"],
        cwd=APP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        asyncio.run(drain(f"http://127.0.0.1:{port}", process))
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    # Having finished, the server dies of the signal that it was sent, as a shell expects.
    assert process.returncode == -signal.SIGTERM, out
    messages = [json.loads(line)["message"] for line in out.splitlines()]
    assert messages.index("draining") < messages.index("stopped")


async def drain(address: str, process: subprocess.Popen[str]) -> None:
    """Ends the server under way and asks it until it is gone."""
    async with httpx.AsyncClient(base_url=address) as client:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        while (answer := await client.get("/readyz")).status_code == 200:
            pass
        assert answer.json()["status"] == "draining"
        # Unready, it still answers those whom nobody has told yet.
        answer = await client.get("/orders")
        assert answer.status_code == 200
        assert answer.headers["Connection"] == "close"
