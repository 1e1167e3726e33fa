"""The HTTP interface of one model."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib import resources
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

import hilum
from hilum.inference import cautions
from hilum.inference.new_source import NewSource
from hilum.serve import openapi, problems, uploads
from hilum.serve.access import Access
from hilum.serve.guard import Guard
from hilum.serve.schemas import (
    AnsweredFilms,
    FilmAnswer,
    FilmOptions,
    Health,
    ModelCard,
    RequestLimits,
)
from hilum.serve.service import Service
from hilum.types import NOTICE

REFUSALS = openapi.problems(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST
)
FILM_PROBLEMS = openapi.problems(
    HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip


def create_app(service: Service, access: Access) -> FastAPI:
    """The routes of a service, behind its rules of access."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.stop)

    app = FastAPI(
        title="hilum", version=hilum.__version__, description=NOTICE, lifespan=lifespan,
        docs_url=None, redoc_url=None, responses=REFUSALS, redirect_slashes=False,
    )  # fmt: skip
    app.add_exception_handler(HTTPException, problems.on_http)
    app.add_exception_handler(RequestValidationError, problems.on_parameters)
    app.add_middleware(Guard, access=access, telemetry=service.telemetry)
    _add_films(app, service)
    _add_facts(app, service)
    _add_page(app)
    return app


def _add_films(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/predict", response_model=AnsweredFilms, response_model_exclude_none=True,
        openapi_extra=openapi.FILMS, responses=FILM_PROBLEMS,
    )  # fmt: skip
    async def predict(request: Request, options: Annotated[FilmOptions, Query()]) -> Response:
        """Classify one film (the body) or several (multipart)."""
        with service.room(uploads.declared_size(request, service.limits)):
            films = await uploads.read(request, service.limits)
            rows, judged = await service.answer(films, options.heatmap, options.film)
        return _response(service, rows, judged)


def _response(service: Service, rows: list[FilmAnswer], judged: NewSource) -> Response:
    """The films' answers; a problem with the same content where not one film could be read."""
    facts = service.model.facts
    answers = AnsweredFilms(
        predictions=rows,
        thresholds=facts.thresholds,
        verdict=cautions.verdict_line(facts.judged),
        failed_audits=[str(name) for name in facts.judged.get("failed", [])],
        new_source=judged.finding("These films"),
        digest=service.digest,
    )
    if not any(row.label for row in rows):
        content = answers.model_dump(by_alias=True, exclude_none=True)
        return problems.respond(HTTPStatus.UNPROCESSABLE_ENTITY, rows[0].reason, more=content)
    text = answers.model_dump_json(by_alias=True, exclude_none=True)
    return Response(text, media_type="application/json")


def _add_facts(app: FastAPI, service: Service) -> None:
    @app.get("/v1/model")
    async def model() -> ModelCard:
        """The model's card: classes, preparation, verdict, audits, digest."""
        trained, facts, limits = service.model, service.model.facts, service.limits
        return ModelCard(
            classes=facts.classes,
            thresholds=facts.thresholds,
            verdict=cautions.verdict_line(facts.judged),
            audits=facts.judged,
            preparation=trained.pipeline.as_list(),
            precision=facts.precision,
            mirror=facts.mirror,
            temperature=facts.temperature,
            provenance=facts.provenance,
            digest=service.digest,
            version=hilum.__version__,
            limits=RequestLimits(body=limits.body, parts=limits.parts),
        )

    @app.get("/health")
    async def health() -> Health:
        """Whether the process answers."""
        return Health(status="ok")

    @app.get("/ready", responses=openapi.problems(HTTPStatus.SERVICE_UNAVAILABLE))
    async def ready() -> Health:
        """Whether films are accepted."""
        if not service.ready or service.full:
            raise service.busy()
        return Health(status="ready")

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.telemetry.text(), media_type="text/plain; version=0.0.4")


def _add_page(app: FastAPI) -> None:
    folder = resources.files("hilum.serve") / "page"

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response((folder / "index.html").read_bytes(), media_type="text/html")

    app.mount("/page", _PageFiles(directory=str(folder)), name="page")


class _PageFiles(StaticFiles):
    """Files of the page; a name that no file can have is one that is not there."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """The file's whole path and what the system says of it, or None."""
        try:
            return super().lookup_path(path)
        except ValueError:  # a zero byte
            return "", None
