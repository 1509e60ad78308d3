"""The variants that end-to-end runs lay over this application do what they are for."""

import asyncio
import difflib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import APP, alembic, client_of
from test_orders import ORDER

from orders.settings import Settings

VARIANTS = APP.parent / "app-variants"


def laid_over(variant: str, folder: Path) -> Path:
    """Makes the variant's application."""
    ignored = shutil.ignore_patterns(".venv", "uv.lock", "__pycache__", ".*_cache")
    app = Path(shutil.copytree(APP, folder / variant, ignore=ignored))
    shutil.copytree(VARIANTS / variant, app, dirs_exist_ok=True)
    return app


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("release-2/pyproject.toml", ['-version = "1.0.0"', '+version = "1.1.0"']),
        ("release-2/orders/__init__.py", ['-__version__ = "1.0.0"', '+__version__ = "1.1.0"']),
        (
            "release-2/orders/models.py",
            ["+    note: Mapped[str | None] = mapped_column(String(500))"],
        ),
        (
            "release-2/orders/schemas.py",
            [
                "+    note: Annotated[str | None, Field(max_length=500)] = None",
                "+    note: str | None = None",
            ],
        ),
        ("stale-lock/pyproject.toml", ['+    "httpx>=0.28",']),
    ],
)
def test_a_copied_file_differs_in_the_lines_that_make_the_variant(file, lines):
    original = (APP / file.partition("/")[2]).read_text().splitlines()
    copy = (VARIANTS / file).read_text().splitlines()
    changes = [
        line
        for line in difflib.unified_diff(original, copy, lineterm="", n=0)
        if line[0] in "+-" and not line.startswith(("+++", "---"))
    ]
    assert changes == lines


def test_release_1_goes_on_working_on_the_schema_of_release_2(migrated, tmp_path):
    primary, standby = migrated
    app = laid_over("release-2", tmp_path)
    done = alembic(primary, "upgrade", "head", app=app)
    assert done.returncode == 0, done.stderr

    async def release_1():
        settings = Settings(database_url=primary.url, database_url_ro=standby.url)
        async with client_of(settings) as client:
            made = await client.post("/orders", json=ORDER)
            assert made.status_code == 201
            assert "note" not in made.json()
            assert (await client.get(made.headers["Location"])).status_code == 200

    asyncio.run(release_1())


SCENARIO_2 = """
import asyncio, sys
from conftest import client_of
from orders.settings import Settings

async def main():
    async with client_of(Settings()) as client:
        assert (await client.get("/version")).json()["version"] == "1.1.0"
        old = (await client.get("/orders")).json()
        assert [order["note"] for order in old] == [None], old
        lines = [{"sku": "lamp", "quantity": 1, "unit_price_cents": 1}]
        new = {"customer": "ada", "lines": lines, "note": "ring twice"}
        made = await client.post("/orders", json=new)
        assert made.json()["note"] == "ring twice", made.text

asyncio.run(main())
"""


def test_release_2_shows_orders_of_both(migrated, tmp_path):
    primary, _ = migrated
    primary.psql("INSERT INTO orders (id, customer) VALUES (gen_random_uuid(), 'grace')")
    app = laid_over("release-2", tmp_path)
    assert alembic(primary, "upgrade", "head", app=app).returncode == 0
    done = subprocess.run(
        [sys.executable, "-c", SCENARIO_2],
        cwd=app,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "tests", "DATABASE_URL": primary.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_migration_that_fails_leaves_nothing_half_done(migrated, tmp_path):
    primary, _ = migrated
    app = laid_over("failing-migration", tmp_path)
    for _ in range(2):
        done = alembic(primary, "upgrade", "head", app=app)
        assert done.returncode == 1
        assert 'column "reason" does not exist' in done.stderr
        assert primary.psql("SELECT version_num FROM alembic_version") == "0005"
        assert primary.psql("SELECT to_regclass('refunds') IS NULL") == "t"
