"""The API on real databases."""

import time

import httpx
import pytest
from postgres import Server

ORDER = {
    "customer": "ada",
    "lines": [
        {"sku": "lamp", "quantity": 2, "unit_price_cents": 1250},
        {"sku": "bulb", "quantity": 6, "unit_price_cents": 199},
    ],
}


def reads_from_primary(client: httpx.AsyncClient, reason: str) -> float:
    registry = client.app.state.metrics.registry
    return registry.get_sample_value("orders_reads_from_primary_total", {"reason": reason})


def test_an_order_is_taken_shown_listed_and_closed(run):
    async def scenario(client):
        made = await client.post("/orders", json=ORDER)
        assert made.status_code == 201
        order = made.json()
        assert order["total_cents"] == 2 * 1250 + 6 * 199
        assert order["status"] == "pending"
        assert [line["sku"] for line in order["lines"]] == ["lamp", "bulb"]
        after = {"X-Read-After": made.headers["X-Read-After"]}

        shown = await client.get(made.headers["Location"], headers=after)
        assert shown.json() == order
        listed = await client.get("/orders", params={"customer": "ada"}, headers=after)
        assert listed.json() == [order]
        older = await client.get("/orders", params={"before": order["created_at"]}, headers=after)
        assert older.json() == []

        where = f"/orders/{order['id']}"
        changed = await client.patch(where, json={"status": "shipped"})
        assert changed.json()["status"] == "shipped"
        refused = await client.patch(where, json={"status": "paid"})
        assert refused.status_code == 409
        assert refused.json()["detail"] == "the order is shipped"

    run(scenario)


def test_the_same_key_makes_one_order(run):
    async def scenario(client):
        key = {"Idempotency-Key": "checkout-1"}
        first = await client.post("/orders", json=ORDER, headers=key)
        again = await client.post("/orders", json=ORDER, headers=key)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        listed = await client.get(
            "/orders", headers={"X-Read-After": again.headers["X-Read-After"]}
        )
        assert len(listed.json()) == 1

    run(scenario)


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"customer": ""}, ["body", "customer"]),
        ({"lines": []}, ["body", "lines"]),
        ({"unknown": 1}, ["body", "unknown"]),
    ],
)
def test_a_wrong_order_is_a_problem_that_names_the_field(run, change, at):
    async def scenario(client):
        answer = await client.post("/orders", json=ORDER | change)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["errors"][0]["at"] == at

    run(scenario)


def test_what_is_not_there_is_a_problem(run):
    async def scenario(client):
        answer = await client.get("/orders/00000000-0000-0000-0000-000000000000")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
        position = await client.get("/orders", headers={"X-Read-After": "yesterday"})
        assert position.status_code == 400
        misspelt = await client.get("/orders", params={"costumer": "ada"})
        assert misspelt.status_code == 422

    run(scenario)


def test_a_replica_that_lags_hides_no_write(run, migrated):
    primary, standby = migrated

    async def scenario(client):
        made = await client.post("/orders", json=ORDER)
        shown = await client.get(made.headers["Location"])
        assert shown.status_code == 200
        assert reads_from_primary(client, "missing") == 1
        after = {"X-Read-After": made.headers["X-Read-After"]}
        assert (await client.get("/orders")).json() == []
        assert len((await client.get("/orders", headers=after)).json()) == 1
        assert reads_from_primary(client, "behind") == 1

    catch_up(primary, standby)
    standby.psql("SELECT pg_wal_replay_pause()")
    try:
        run(scenario)
    finally:
        standby.psql("SELECT pg_wal_replay_resume()")


def catch_up(primary: Server, standby: Server) -> None:
    """Waits until the standby has replayed what the tests before have written."""
    position = primary.psql("SELECT pg_current_wal_lsn()")
    deadline = time.monotonic() + 20
    while standby.psql(f"SELECT pg_last_wal_replay_lsn() >= '{position}'") != "t":
        assert time.monotonic() < deadline, "the standby does not follow"


def test_without_replicas_the_primary_answers(run):
    async def scenario(client):
        made = await client.post("/orders", json=ORDER)
        shown = await client.get(made.headers["Location"])
        assert shown.status_code == 200
        assert reads_from_primary(client, "unreachable") == 1

    run(scenario, database_url_ro="postgresql://orders:x@127.0.0.1:1/orders")


def test_without_any_database_the_client_may_try_again(run):
    async def scenario(client):
        for answer in (await client.post("/orders", json=ORDER), await client.get("/orders")):
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "2"
            assert answer.json()["detail"] == "the database does not answer"

    nowhere = "postgresql://orders:x@127.0.0.1:1/orders"
    run(scenario, database_url=nowhere, database_url_ro=nowhere)


def test_a_write_that_reaches_a_replica_is_an_outage_and_not_a_bug(run, migrated):
    """After a failover the service's address may point to the former primary for a moment."""
    _, standby = migrated

    async def scenario(client):
        answer = await client.post("/orders", json=ORDER)
        assert answer.status_code == 503

    run(scenario, database_url=standby.url)
