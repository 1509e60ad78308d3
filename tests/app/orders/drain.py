"""The end of a pod without a lost request.

SIGTERM first makes the pod unready and asks clients to reconnect, while it goes on answering;
only when proxies have had the time to notice does the server stop, which then finishes what it
has begun.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType

logger = logging.getLogger(__name__)


class Drain:
    """Whether the end has begun, and the signal handler that begins it."""

    def __init__(self, seconds: float) -> None:
        """Remembers how long proxies get."""
        self.started = False
        self._seconds = seconds

    def install(self) -> None:
        """Takes SIGTERM over from the server and hands it on when the time is up."""
        if threading.current_thread() is not threading.main_thread():
            return
        server = signal.getsignal(signal.SIGTERM)
        if not callable(server):
            return
        loop = asyncio.get_running_loop()

        def begin(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._begin, loop, lambda: server(number, frame))

        signal.signal(signal.SIGTERM, begin)

    def _begin(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
        if self.started:
            # Asked twice: the sender does not want to wait.
            stop()
            return
        self.started = True
        logger.info("draining", extra={"drain_seconds": self._seconds})
        loop.call_later(self._seconds, stop)
