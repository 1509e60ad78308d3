"""Puts the application together."""

from fastapi import FastAPI

from bookshelf.api import books
from bookshelf.settings import Settings


def get_application() -> FastAPI:
    """Makes the application."""
    settings = Settings()
    application = FastAPI(title=settings.title)
    application.include_router(books.router, prefix=settings.prefix)
    return application
