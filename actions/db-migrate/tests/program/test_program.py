"""The Job's program on a real PostgreSQL, with the reference application and small ones."""

import importlib.util
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import APP, PROGRAM, VARIANTS, Ran, call
from postgres import Server

ALL = ["0001", "0002", "0003", "0004", "0005"]


def revisions(database):
    return database.psql("SELECT version_num FROM alembic_version").split()


def has(database, table):
    return database.psql(f"SELECT to_regclass('public.{table}') IS NOT NULL") == "t"


def with_variant(name, folder):
    ignored = shutil.ignore_patterns(".venv", ".*_cache")
    app = shutil.copytree(APP, folder / "app", ignore=ignored)
    return shutil.copytree(VARIANTS / name, app, dirs_exist_ok=True)


def test_what_is_pending_is_told_with_its_statements_and_nothing_is_changed(run, database):
    ran = run("observe")
    assert (ran.code, ran.result["kind"], ran.result["before"]) == (0, "ok", [])
    pending = ran.result["pending"]
    assert [each["revision"] for each in pending] == ALL
    assert pending[0]["message"] == "Orders and who they are for."
    assert "CREATE TABLE orders" in pending[0]["sql"]
    assert "CREATE TABLE orders" not in pending[1]["sql"]
    assert "CREATE UNIQUE INDEX CONCURRENTLY" in pending[4]["sql"]
    assert all(len(each["sha256"]) == 64 for each in pending)
    assert run("observe").result == ran.result
    assert not has(database, "alembic_version")


def test_what_is_pending_is_run_once(run, database):
    ran = run("apply")
    assert ran.code == 0, ran.log
    assert ran.result == {
        "event": "result", "kind": "ok", "before": [], "after": ["0005"], "applied": ALL,
    }  # fmt: skip
    assert [each["revision"] for each in ran.of("running")] == ALL
    assert [each["revision"] for each in ran.of("ran")] == ALL
    assert revisions(database) == ["0005"]
    again = run("apply", expected=["0005"])
    assert (again.code, again.result["applied"]) == (0, [])
    assert run("observe").result["pending"] == []


def test_a_target_ends_the_way_up(run, database):
    ran = run("apply", target="0003")
    assert ran.result["applied"] == ["0001", "0002", "0003"]
    assert [each["revision"] for each in run("observe").result["pending"]] == ["0004", "0005"]


def test_a_database_that_has_moved_is_left_alone(run, database):
    ran = run("apply", expected=["0004"])
    assert (ran.code, ran.result["kind"], ran.result["before"]) == (1, "changed", [])
    assert not has(database, "orders")


def test_a_migration_that_fails_is_named_and_leaves_nothing(run, database, tmp_path):
    run("apply")
    ran = run("apply", app=with_variant("failing-migration", tmp_path), expected=["0005"])
    assert ran.code == 1
    assert ran.result == {
        "event": "result", "kind": "migration", "revision": "0006",
        "error": 'UndefinedColumnError: column "reason" does not exist',
        "statement": "CREATE INDEX refunds_reason ON refunds (reason)",
        "file": "migrations/versions/0006_refunds.py", "line": 19,
        "before": ["0005"], "after": ["0005"], "applied": [],
    }  # fmt: skip
    assert revisions(database) == ["0005"]
    assert not has(database, "refunds")


def test_what_stays_of_a_failed_run_is_read_from_the_database(run, database, project):
    bodies = ('op.execute("CREATE TABLE a (b int)")', 'raise RuntimeError("no")')
    ran = run("apply", app=project(*bodies))
    result = ran.result
    assert (result["revision"], result["error"]) == ("0002", "RuntimeError: no")
    assert (result["after"], result["applied"]) == (["0001"], ["0001"])
    assert has(database, "a")
    assert "Traceback" in ran.log


def test_a_transaction_around_everything_takes_all_back(run, database, project):
    bodies = ('op.execute("CREATE TABLE a (b int)")', 'op.execute("no sql")')
    each = "transaction_per_migration=True"
    app = project(*bodies, change=lambda env: env.replace(each, "compare_type=True"))
    result = run("apply", app=app).result
    assert (result["revision"], result["after"], result["applied"]) == ("0002", [], [])
    assert not has(database, "a")


def test_a_migration_that_looks_at_data_has_no_statements_to_show(run, project):
    body = 'assert op.get_bind().exec_driver_sql("SELECT 1").scalar() == 1'
    app = project(body)
    ran = run("observe", app=app)
    assert ran.result["pending"] == [
        {"revision": "0001", "message": "Number 1.", "sql": None, "sha256": None}
    ]
    assert ran.of("note")
    assert run("apply", app=app).code == 0


def test_two_runs_do_not_migrate_at_once(run, database, project):
    app = project('op.execute("SELECT pg_sleep(60)")')
    arguments, options = call("apply", app, database.url)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, **options) as first:
        line = first.stdout.readline()
        assert '"running"' in line, line
        ran = run("apply", app=app)
        assert (ran.code, ran.result["kind"]) == (1, "locked")
        assert not ran.of("running")
        first.kill()
    spec = importlib.util.spec_from_file_location("program", PROGRAM)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    key = program.lock_key(None, "alembic_version")
    # The lock goes with the session; the server notices when the statement has ended.
    database.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
    )
    deadline = time.monotonic() + 10
    while database.psql(f"SELECT pg_try_advisory_lock({key})") != "t":
        assert time.monotonic() < deadline, "the lock outlives its session"
    assert not has(database, "alembic_version") or revisions(database) == []


def test_a_database_that_starts_late_is_waited_for(server):
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if server._user is not None:
            shutil.chown(home, server._user, server._user)
        late = Server(server._programs, home, server._user)
        late.init()
        arguments, options = call("apply", APP, late.url, wait=30)
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, **options) as process:
            first = process.stdout.readline()
            assert "ConnectionRefusedError" in first, first
            with late.run():
                late.psql("CREATE DATABASE orders", "postgres")
                rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert '"applied": ["0001"' in rest


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("postgresql://orders:x@127.0.0.1:1/orders", "ConnectionRefusedError"),
        ("postgresql://orders:x@database.invalid/orders", "gaierror"),
    ],
)
def test_a_database_that_does_not_answer_is_not_a_failed_migration(run, url, error):
    ran = run("observe", url=url)
    assert (ran.code, ran.result["kind"], ran.result["before"]) == (1, "unreachable", None)
    assert ran.result["error"].startswith(error)


def test_a_wrong_password_is_named_and_not_shown(run, database):
    ran = run("observe", url=database.url.replace("not-a-secret", "wr0ng-pa55"))
    assert ran.result["kind"] == "unreachable"
    assert ran.result["error"].startswith("InvalidPasswordError: password authentication failed")
    assert "wr0ng-pa55" not in str(ran.events) + ran.log


def test_a_database_ahead_of_the_image_is_told(run, database):
    run("apply")
    database.psql("UPDATE alembic_version SET version_num = '0042'")
    for operation in ("observe", "apply"):
        ran = run(operation, expected=["0042"])
        assert (ran.result["kind"], ran.result["before"]) == ("unknown", ["0042"])


def test_a_target_that_is_not_there_or_not_one_is_told(run, project):
    assert run("observe", target="0099").result["kind"] == "target"
    app = project("pass", "pass")
    branch = app / "migrations" / "versions" / "0002.py"
    text = branch.read_text().replace("'0002'", "'0003'")
    branch.with_name("0003.py").write_text(text)
    ran = run("observe", app=app)
    assert ran.result["kind"] == "target"
    assert "Multiple head revisions" in ran.result["error"]
    assert run("apply", app=app, target="heads").result["after"] == ["0002", "0003"]


def test_what_an_image_lacks_is_told(run, tmp_path):
    assert run("observe", config="no.ini").result["kind"] == "no-config"
    ran = run("observe", "-S", "-E")
    assert (ran.result["kind"], ran.result["before"]) == ("no-alembic", None)
    ran = run("observe", url="mysql://a")
    assert ran.result["kind"] == "environment"
    assert ran.result["error"].startswith("ValidationError: ")


def test_ran_reads_only_marked_lines():
    done = subprocess.CompletedProcess([], 0, 'x\n@db-migrate {"event": "note"}\n', "")
    assert Ran(done).events == [{"event": "note"}]
