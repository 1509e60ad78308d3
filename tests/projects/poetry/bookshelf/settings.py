"""Settings, read from the environment."""

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """One field is one variable."""

    title: str = "Bookshelf"
    prefix: str = "/api"
