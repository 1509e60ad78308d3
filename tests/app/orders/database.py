"""The two databases: one to write to, replicas to read from, and how a read survives their lag."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from orders.metrics import Metrics
from orders.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")

# The server is there and does not let us work: no fault of the request.
_NO_ANSWER = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
)
_POSITION = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")


class Unavailable(Exception):
    """No database could answer; the caller may try again."""


def valid_position(position: str) -> bool:
    """Says whether this is a position in the write-ahead log, as `write` returns it."""
    return _POSITION.fullmatch(position) is not None


class Databases:
    """Sessions on the primary and on the replicas."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Makes the pools; nothing connects yet."""
        self.primary = _engine(settings, settings.database_url.get_secret_value())
        self.replica = _engine(settings, settings.read_only_url.get_secret_value())
        self._metrics = metrics
        self._timeout = settings.database_timeout_seconds
        self._write = async_sessionmaker(self.primary, expire_on_commit=False)
        self._read = async_sessionmaker(self.replica, expire_on_commit=False)
        for pool, engine in (("primary", self.primary), ("replica", self.replica)):
            metrics.pool.labels(pool).set_function(engine.pool.checkedout)

    async def write(self, work: Callable[[AsyncSession], Awaitable[T]]) -> tuple[T, str]:
        """Runs the work in a transaction; returns the log position that holds it."""
        async with _translated(), self._write() as session:
            async with session.begin():
                result = await work(session)
            position = await session.scalar(text("SELECT pg_current_wal_lsn()::text"))
            return result, str(position)

    async def read(
        self, work: Callable[[AsyncSession], Awaitable[T | None]], after: str | None = None
    ) -> T | None:
        """Reads from a replica, or from the primary where the replica cannot know the answer.

        It cannot when it has not replayed `after`, when it finds nothing (the row may be on its
        way), and when it does not answer at all.
        """
        try:
            async with _translated(), self._read() as session:
                if after is not None and await _is_behind(session, after):
                    reason = "behind"
                elif (result := await work(session)) is not None:
                    return result
                else:
                    reason = "missing"
        except Unavailable as error:
            logger.warning("read-only database: %s; asking the primary", error)
            reason = "unreachable"
        self._metrics.fallbacks.labels(reason).inc()
        async with _translated(), self._write() as session:
            return await work(session)

    async def check(self) -> dict[str, str]:
        """Asks both databases at once; a value is `ok` or the kind of the error."""
        answers = await asyncio.gather(
            _ping(self.primary, self._timeout), _ping(self.replica, self._timeout)
        )
        return dict(zip(("read_write", "read_only"), answers, strict=True))

    async def close(self) -> None:
        """Closes every connection."""
        await self.primary.dispose()
        await self.replica.dispose()


def _engine(settings: Settings, url: str) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_size,
        pool_timeout=settings.database_timeout_seconds,
        pool_pre_ping=True,
        # Connections spread again over the replicas that have come since.
        pool_recycle=300,
        hide_parameters=True,
        connect_args={
            "ssl": settings.database_ssl if settings.database_ssl != "disable" else False,
            "timeout": settings.database_timeout_seconds,
            "command_timeout": settings.database_timeout_seconds,
            "server_settings": {"application_name": "orders"},
        },
    )
    event.listen(engine.sync_engine, "handle_error", _forget_demoted_primary)
    return engine


def _forget_demoted_primary(context: ExceptionContext) -> None:
    # After a failover an old connection may still hold the former primary, now a replica.
    cause = getattr(context.original_exception, "__cause__", None)
    if isinstance(cause, asyncpg.ReadOnlySQLTransactionError):
        context.is_disconnect = True


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (OSError, PoolTimeout, TimeoutError, *_NO_ANSWER) as error:
        raise Unavailable(type(error).__name__) from error
    except DBAPIError as error:
        cause = getattr(error.orig, "__cause__", None)
        if error.connection_invalidated or isinstance(cause, _NO_ANSWER):
            raise Unavailable(type(cause or error).__name__) from error
        raise


async def _is_behind(session: AsyncSession, position: str) -> bool:
    # The driver takes a number for a pg_lsn, so the server is given text and casts it.
    statement = text(
        "SELECT pg_is_in_recovery() AND"
        " pg_last_wal_replay_lsn() < CAST(CAST(:position AS text) AS pg_lsn)"
    )
    return bool(await session.scalar(statement, {"position": position}))


async def _ping(engine: AsyncEngine, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds), engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:
        logger.warning("database %s does not answer: %r", engine.url.host, error)
        return type(error).__name__
    return "ok"
