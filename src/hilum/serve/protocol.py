"""uvicorn's HTTP with bounds on slow clients and on connections, and our words for its refusals."""

import asyncio
import json
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hilum.serve import problems
from hilum.serve.limits import ServerLimits


class BoundedProtocol(H11Protocol):
    """A connection that is closed where its client stalls; subclass to set other limits."""

    limits = ServerLimits()
    _request: asyncio.TimerHandle | None = None  # headers must be whole by then
    _answer: asyncio.TimerHandle | None = None  # an answer must be taken by then

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect headers from now on; refuse one connection too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.write(_refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"expected at most {self.limits.connections} connections; got more; try again in a "
                "moment.",
            ))  # fmt: skip
            transport.close()
        self._request = self.loop.call_later(self.limits.idle_seconds, transport.close)

    def data_received(self, data: bytes) -> None:
        """Stop the clock once the headers are whole; start it with the next request."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._request = _stop(self._request)
        elif self._request is None:
            self._request = self.loop.call_later(self.limits.idle_seconds, self.transport.close)

    def pause_writing(self) -> None:
        """The client takes its answer more slowly than it is given: for so long, not longer."""
        super().pause_writing()
        seconds = self.limits.upload_seconds
        self._answer = self._answer or self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._answer = _stop(self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._request, self._answer = _stop(self._request), _stop(self._answer)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """A request that is no HTTP, without its own words."""
        self.transport.write(_refusal(
            HTTPStatus.BAD_REQUEST,
            "expected a request in HTTP/1.1; got something else; correct it.",
        ))  # fmt: skip
        self.transport.close()


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Cancel a timer; None, to be held in its place."""
    if timer is not None:
        timer.cancel()
    return None


def _refusal(status: HTTPStatus, sentence: str) -> bytes:
    """A whole answer, for where there is no request to answer to."""
    body = json.dumps(problems.document(status, sentence)).encode()
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\nContent-Type: {problems.TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 2\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
