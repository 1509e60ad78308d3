"""Runs migrations with the application's own driver: each in a transaction of its own."""

import asyncio
from logging.config import fileConfig

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from orders.models import Base
from orders.settings import Settings

if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)


def migrate(connection: Connection) -> None:
    """Runs what is missing on an open connection."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_migrate() -> None:
    """Connects to the primary; gives up on a lock rather than queue everybody behind it."""
    settings = Settings()
    engine = create_async_engine(
        settings.database_url.get_secret_value(),
        poolclass=pool.NullPool,
        hide_parameters=True,
        connect_args={
            "ssl": settings.database_ssl if settings.database_ssl != "disable" else False,
            "timeout": settings.database_timeout_seconds,
            "server_settings": {"application_name": "orders-migrate", "lock_timeout": "5000"},
        },
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    # `alembic upgrade head --sql` shows the statements and needs no database.
    context.configure(
        dialect_name="postgresql",
        target_metadata=Base.metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(connect_and_migrate())
