"""Migrations on a real server."""

from conftest import alembic


def test_every_revision_goes_up_and_down_again(migrated):
    primary, _ = migrated
    assert primary.psql("SELECT version_num FROM alembic_version") == "0005"
    for arguments in (["downgrade", "base"], ["upgrade", "head"]):
        done = alembic(primary, *arguments)
        assert done.returncode == 0, done.stderr
    assert primary.psql("SELECT count(*) FROM orders") == "0"


def test_the_models_are_what_the_revisions_make(migrated):
    primary, _ = migrated
    done = alembic(primary, "check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_statements_can_be_shown_without_a_database(migrated):
    primary, _ = migrated
    shown = alembic(primary, "upgrade", "head", "--sql")
    assert shown.returncode == 0, shown.stderr
    assert "CREATE UNIQUE INDEX CONCURRENTLY orders_idempotency_key" in shown.stdout
