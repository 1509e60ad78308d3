"""Errors as `application/problem+json` (RFC 9457), each with the id of its request."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from orders.database import Unavailable
from orders.logs import request_id

logger = logging.getLogger(__name__)


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, **more: object
) -> JSONResponse:
    """Makes the answer for one error."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    if (request := request_id.get()) is not None:
        body["request_id"] = request
    return JSONResponse(
        jsonable_encoder(body), status, headers, media_type="application/problem+json"
    )


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem."""

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"at": list(e["loc"]), "message": e["msg"]} for e in error.errors()]
        return problem(422, "the request does not fit the API", errors=errors)

    @app.exception_handler(Unavailable)
    async def _unavailable(_: Request, error: Unavailable) -> JSONResponse:
        logger.warning("no database could answer: %s", error)
        return problem(503, "the database does not answer", {"Retry-After": "2"})
