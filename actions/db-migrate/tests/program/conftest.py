"""A real PostgreSQL, and the Job's program as the Job runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
APP = ROOT / "tests" / "app"
VARIANTS = ROOT / "tests" / "app-variants"
PROGRAM = ROOT / "actions" / "db-migrate" / "src" / "job" / "migrate.py"
MARKER = "@db-migrate "

sys.path.insert(0, str(APP / "tests"))

from postgres import servers  # noqa: E402


class Ran:
    """What the program told."""

    def __init__(self, done):
        lines = done.stdout.splitlines()
        self.code = done.returncode
        self.log = done.stderr
        self.events = [
            json.loads(line.removeprefix(MARKER)) for line in lines if line.startswith(MARKER)
        ]
        self.result = self.events[-1]

    def of(self, event):
        return [each for each in self.events if each["event"] == event]


def call(operation, app, url, *flags, **order):
    order = {
        "operation": operation, "target": "head", "config": "alembic.ini", "wait": 0,
        "expected": [],
    } | order  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "DATABASE_URL": url}
    arguments = [sys.executable, *flags, "-c", PROGRAM.read_text(), json.dumps(order)]
    return arguments, {"cwd": app, "env": environment, "text": True}


@pytest.fixture(scope="session")
def server():
    with servers() as (primary, _):
        yield primary


@pytest.fixture
def database(server):
    """The server with an empty database."""
    server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return server


@pytest.fixture
def run(database):
    """Runs the program to its end."""

    def go(operation, *flags, app=APP, url=None, **order):
        arguments, options = call(operation, app, url or database.url, *flags, **order)
        return Ran(subprocess.run(arguments, capture_output=True, check=False, **options))

    return go


@pytest.fixture
def project(tmp_path):
    """Makes an application of a few migrations: the reference's `env.py`, changed or not."""

    def make(*migrations, change=lambda text: text):
        app = tmp_path / "app"
        versions = app / "migrations" / "versions"
        versions.mkdir(parents=True)
        for name in ("alembic.ini", "migrations/env.py"):
            shutil.copy(APP / name, app / name)
        shutil.copytree(APP / "orders", app / "orders")
        env = app / "migrations" / "env.py"
        env.write_text(change(env.read_text()))
        before = None
        for number, body in enumerate(migrations, 1):
            revision = f"{number:04}"
            (versions / f"{revision}.py").write_text(
                f'"""Number {number}."""\nfrom alembic import op\n'
                f"revision = {revision!r}\ndown_revision = {before!r}\n"
                f"def upgrade():\n    {body}\n"
            )
            before = revision
        return app

    return make
