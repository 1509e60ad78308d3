"""The servers, a migrated database and a client for every test."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from postgres import Server, servers

from orders.app import create_app
from orders.settings import Settings

APP = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def both() -> Iterator[tuple[Server, Server]]:
    """A primary and its standby."""
    with servers() as pair:
        yield pair


def alembic(server: Server, *arguments: str, app: Path = APP) -> subprocess.CompletedProcess[str]:
    """Runs Alembic as the image does."""
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": server.url}
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=app, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def migrated(both: tuple[Server, Server]) -> tuple[Server, Server]:
    """Both servers with an empty database at the newest revision."""
    primary, _ = both
    if is_migrated(primary):
        primary.psql("TRUNCATE orders CASCADE")
        return both
    primary.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    done = alembic(primary, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    return both


def is_migrated(server: Server) -> bool:
    """Says whether the last test has left this application's own schema."""
    if server.psql("SELECT to_regclass('alembic_version') IS NULL") == "t":
        return False
    newest = max(path.name for path in (APP / "migrations/versions").glob("*.py"))
    return server.psql("SELECT version_num FROM alembic_version") == newest.partition("_")[0]


Scenario = Callable[[httpx.AsyncClient], Awaitable[None]]


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the application in this process."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as client:
            client.app = app
            yield client
    finally:
        await app.state.databases.close()


@pytest.fixture
def settings(migrated: tuple[Server, Server]) -> Settings:
    """Settings for both servers."""
    primary, standby = migrated
    return Settings(
        database_url=primary.url, database_url_ro=standby.url, image_digest="sha256:" + "0" * 64
    )


@pytest.fixture
def run(settings: Settings) -> Callable[[Scenario], None]:
    """Runs one scenario against the application."""

    def go(scenario: Scenario, **changes: object) -> None:
        async def main() -> None:
            changed = Settings(**(settings.model_dump() | changes))
            async with client_of(changed) as client:
                await scenario(client)

        asyncio.run(main())

    return go
