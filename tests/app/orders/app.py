"""Puts the application together."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from orders import __version__, api, health, logs, problems
from orders.database import Databases
from orders.drain import Drain
from orders.metrics import Metrics
from orders.requests import RequestMiddleware
from orders.settings import Settings

logger = logging.getLogger(__name__)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.drain.install()
    logger.info("started", extra={"version": __version__})
    yield
    await app.state.databases.close()
    logger.info("stopped")


def create_app(settings: Settings) -> FastAPI:
    """Makes the application from its settings; connects to nothing."""
    logs.configure(settings.log_level)
    app = FastAPI(title="Orders", version=__version__, lifespan=_lifespan)
    app.state.settings = settings
    app.state.metrics = Metrics(settings.image_digest)
    app.state.databases = Databases(settings, app.state.metrics)
    app.state.drain = Drain(settings.shutdown_drain_seconds)
    app.state.was_ready = False
    app.include_router(health.router)
    app.include_router(api.router)
    problems.install(app)
    app.add_middleware(RequestMiddleware, metrics=app.state.metrics, drain=app.state.drain)
    return app
