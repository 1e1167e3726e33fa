"""Every request passes here first: access, headers of the answer, counters, faults without words.

A plain ASGI wrapper: Starlette's own class for middleware hands a body on through a second queue.
"""

import asyncio
import contextlib
import logging
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hilum.serve import problems
from hilum.serve.access import Access
from hilum.serve.problems import ProblemError
from hilum.serve.telemetry import Telemetry

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)  # the page takes nothing from outside
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
DRAIN_SECONDS = 2.0  # for the rest of a refused body: most clients read no answer before its end
PLACES = 3  # of the code that the line about a fault names
log = logging.getLogger("hilum.serve")


@dataclass(slots=True)
class Guard:
    """An application behind its rules of access."""

    app: ASGIApp
    access: Access
    telemetry: Telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens below."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start, status, body = time.perf_counter(), 0, _Body(receive)
        if scope["method"] == "HEAD":  # as GET; the protocol leaves out the body
            scope = {**scope, "method": "GET"}

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self.access.check(scope["path"], Headers(scope=scope))
            await self.app(scope, body.receive, with_headers)
        except ProblemError as problem:
            await body.drain(Headers(scope=scope))
            await problem.response()(scope, receive, with_headers)
        except Exception as error:
            log.error("fault: %s", _place(error))
            if status:  # too late for another answer
                raise
            await problems.fault()(scope, receive, with_headers)
        finally:
            self._count(scope, status, time.perf_counter() - start)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self.telemetry.requests.labels(route, status).inc()
        self.telemetry.seconds.labels(route).observe(seconds)


@dataclass(slots=True)
class _Body:
    """A request's body, and whether all of it has come."""

    source: Receive
    ended: bool = False

    async def receive(self) -> Message:
        message = await self.source()
        self.ended = not message.get("more_body", False)
        return message

    async def drain(self, headers: Headers) -> None:
        """Read on for a moment, unless the client waits for leave to send."""
        if "expect" in headers:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self.ended:
                    await self.receive()


def _place(error: Exception) -> str:
    """The kind of an error and where it arose: its words may quote a film."""
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    places = (f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {' < '.join(reversed([*places]))}"
