"""Settings, read from the environment once and checked before the first request."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_DRIVER = "postgresql+asyncpg://"


class Settings(BaseSettings):
    """One field is one variable: `database_url` is `DATABASE_URL`."""

    # A message about one variable must not quote the others: they hold passwords.
    model_config = SettingsConfigDict(hide_input_in_errors=True, extra="ignore", frozen=True)

    database_url: SecretStr
    database_url_ro: SecretStr | None = None
    database_ssl: Literal["disable", "prefer", "require", "verify-full"] = "prefer"
    database_pool_size: Annotated[int, Field(ge=1, le=100)] = 5
    database_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    image_digest: str | None = None
    # Endpoints and proxies learn of a pod's end some seconds after it does.
    shutdown_drain_seconds: Annotated[float, Field(ge=0, le=300)] = 5.0
    shutdown_timeout_seconds: Annotated[int, Field(ge=1, le=300)] = 20

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("database_url", "database_url_ro", mode="after")
    @classmethod
    def _with_driver(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        scheme, separator, rest = value.get_secret_value().partition("://")
        if not separator or scheme not in {"postgres", "postgresql", "postgresql+asyncpg"}:
            raise ValueError("expected postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE")
        return SecretStr(_DRIVER + rest)

    @property
    def read_only_url(self) -> SecretStr:
        """Where reads go: the replicas, or the primary where there are none."""
        return self.database_url_ro or self.database_url
