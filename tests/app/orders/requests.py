"""What happens around every request: its id, its log line, its metrics, and the end of a pod."""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orders.drain import Drain
from orders.logs import request_id
from orders.metrics import Metrics
from orders.problems import problem

logger = logging.getLogger("orders.access")

_HEADER = "X-Request-ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Asked for every few seconds by the cluster: logged only when they fail.
_QUIET = {"/healthz", "/readyz", "/metrics"}
_FAILED = 500


class RequestMiddleware:
    """Plain ASGI, so that streamed answers and background work are measured to their end."""

    def __init__(self, app: ASGIApp, metrics: Metrics, drain: Drain) -> None:
        """Wraps the application."""
        self._app = app
        self._metrics = metrics
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_HEADER, "")
        token = request_id.set(given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex)
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[_HEADER] = request_id.get() or ""
                if self._drain.started:
                    # The proxy opens its next connection to a pod that stays.
                    headers["Connection"] = "close"
            await send(message)

        started = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, answer)
        except Exception:
            logger.exception("unhandled error")
            if status:
                raise
            await problem(_FAILED, "an error of ours; its request id finds it in the logs")(
                scope, receive, answer
            )
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"]
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.duration.labels(method, route).observe(seconds)
        if route in _QUIET and status < _FAILED:
            return
        logger.info(
            "%s %s %s",
            method,
            scope["path"],
            status,
            extra={
                "method": method,
                "path": scope["path"],
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 2),
            },
        )
