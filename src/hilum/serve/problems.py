"""Errors over HTTP: problem+json (RFC 9457) with the sentence that the command line says."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hilum.types import NOTICE

TYPE = "application/problem+json"


class ProblemError(Exception):
    """A request that gets no answer: status, and one sentence (expected, got, what to do)."""

    def __init__(
        self, status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})

    def response(self) -> JSONResponse:
        """What the client is sent."""
        return respond(self.status, self.sentence, self.headers)


def document(status: HTTPStatus, sentence: str) -> dict[str, Any]:
    """A problem as JSON."""
    return {"title": status.phrase, "status": int(status), "detail": sentence, "notice": NOTICE}


def respond(
    status: HTTPStatus,
    sentence: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """A problem document; `more` are its extension members."""
    body = {**document(status, sentence), **(more or {})}
    return JSONResponse(body, int(status), dict(headers or {}), media_type=TYPE)


def fault() -> JSONResponse:
    """The answer to everything unforeseen: no word of it, since it may quote a film."""
    return respond(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the server has failed; try once more, and report it if it fails again.",
    )


async def on_http(request: Request, error: Exception) -> JSONResponse:
    """Routes and methods that are not there, in our words."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    raise ProblemError(
        HTTPStatus(error.status_code),
        f"expected {_routes(request)}; got another path or method; use one of these.",
        error.headers,
    )


def _routes(request: Request) -> str:
    """Every path of the server with its methods, as its own table of routes has them."""
    named = [
        f"{'/'.join(sorted(route.methods - {'HEAD'}))} {route.path}"
        for route in request.app.routes
        if isinstance(route, Route) and route.methods
    ]
    return ", ".join(sorted(named))


async def on_parameters(_: Request, error: Exception) -> JSONResponse:
    """Query parameters of the wrong kind; their values are not repeated."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    names = sorted({str(row["loc"][-1]) for row in error.errors()})
    raise ProblemError(
        HTTPStatus.BAD_REQUEST,
        f"{', '.join(names)} must be true or false; got something else; correct the query.",
    )
