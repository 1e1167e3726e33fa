"""The HTTP interface of one model."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
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
from hilum.inference.model import TrainedModel
from hilum.serve import problems, uploads
from hilum.serve.access import Access
from hilum.serve.decoding import DecodedFilm, Decoders
from hilum.serve.engine import Answer, Engine
from hilum.serve.heat import METHOD
from hilum.serve.limits import Limits
from hilum.serve.pictures import FilmPicture, heat_layer
from hilum.serve.problems import ProblemError
from hilum.serve.schemas import Answers, FilmAnswer, Health, Heat, ModelCard, Picture
from hilum.serve.telemetry import Telemetry
from hilum.serve.uploads import Upload
from hilum.types import NOTICE

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)  # the page takes nothing from outside
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
RETRY_SECONDS = 2


@dataclass(slots=True)
class Service:
    """One model, its decoders and its counters."""

    model: TrainedModel
    digest: str
    limits: Limits
    engine: Engine
    decoders: Decoders
    telemetry: Telemetry = field(default_factory=Telemetry)
    waiting: int = 0  # films accepted and not yet answered
    ready: bool = False

    @classmethod
    def of(cls, model: TrainedModel, digest: str, limits: Limits) -> "Service":
        """A service that is not started."""
        decoders = Decoders(model.pipeline.as_list(), limits)
        return cls(model, digest, limits, Engine(model), decoders)

    def start(self) -> None:
        """Start the network's thread and the decoders."""
        self.engine.start()
        self.decoders.open()
        self.ready = True

    def stop(self) -> None:
        """Answer what was accepted, then end."""
        self.ready = False
        self.engine.stop()
        self.decoders.close()

    async def answer(self, films: list[Upload], heat: bool, picture: bool) -> list[FilmAnswer]:
        """Every film's answer, in order; raises ProblemError where too many films wait already."""
        if self.waiting + len(films) > self.limits.queue:
            raise self.busy()
        self._wait(len(films))
        try:
            return await asyncio.gather(*(self._one(film, heat, picture) for film in films))
        finally:
            self._wait(-len(films))

    def busy(self) -> ProblemError:
        """What a client is told when the queue is full."""
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"wanted a free place among {self.limits.queue} waiting films; got a full queue; "
            "send the films again in a moment.",
            {"Retry-After": str(RETRY_SECONDS)},
        )

    def _wait(self, films: int) -> None:
        self.waiting += films
        self.telemetry.waiting.set(self.waiting)
        self.telemetry.restarts.set(self.decoders.died)

    async def _one(self, film: Upload, heat: bool, picture: bool) -> FilmAnswer:
        decoded = await self.decoders.read(film.data, picture)
        if isinstance(decoded, str):
            self.telemetry.films.labels("unreadable").inc()
            return FilmAnswer(
                path=film.name, label="", probabilities={}, abstain=True, reason=decoded, seen=""
            )
        answer = await asyncio.wrap_future(self.engine.submit(decoded.prepared, heat))
        outcome = "abstained" if answer.prediction.abstained else "answered"
        self.telemetry.films.labels(outcome).inc()
        return _film_answer(film.name, answer, decoded)


def _film_answer(name: str, answer: Answer, decoded: DecodedFilm) -> FilmAnswer:
    found = answer.prediction
    return FilmAnswer(
        path=name,
        label=found.label,
        probabilities=found.probabilities,
        abstain=found.abstained,
        reason=found.reason,
        seen=found.seen,
        heatmap=_heat(answer),
        film=_picture(decoded.film),
        as_seen=_picture(decoded.seen),
    )


def _heat(answer: Answer) -> Heat | None:
    if answer.heat is None and not answer.heat_reason:
        return None
    layer = "" if answer.heat is None else _text(heat_layer(answer.heat))
    label = answer.prediction.label
    return Heat(png=layer, method=METHOD, reason=answer.heat_reason, **{"class": label})


def _picture(drawn: FilmPicture | None) -> Picture | None:
    return Picture(**{**asdict(drawn), "png": _text(drawn.png)}) if drawn else None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def create_app(service: Service, access: Access) -> FastAPI:
    """The routes of a service, behind its rules of access."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.stop)

    app = FastAPI(
        title="hilum", version=hilum.__version__, description=NOTICE, lifespan=lifespan,
        docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.add_exception_handler(ProblemError, problems.on_problem)
    app.add_exception_handler(HTTPException, problems.on_http)
    app.add_exception_handler(RequestValidationError, problems.on_parameters)
    app.add_exception_handler(Exception, problems.on_fault)
    _guard(app, service, access)
    _films(app, service)
    _facts(app, service)
    _page(app)
    return app


def _guard(app: FastAPI, service: Service, access: Access) -> None:
    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        try:
            access.check(request.url.path, request.headers)
            response = await go_on(request)
        except ProblemError as problem:
            response = problem.response()
        response.headers.update(HEADERS)
        route = getattr(request.scope.get("route"), "path", "other")
        service.telemetry.requests.labels(route, response.status_code).inc()
        service.telemetry.seconds.labels(route).observe(time.perf_counter() - began)
        return response


def _films(app: FastAPI, service: Service) -> None:
    @app.post("/v1/predict", response_model=Answers, response_model_exclude_none=True)
    async def predict(
        request: Request,
        heatmap: Annotated[bool, Query(description="the predicted class's heat map")] = False,
        film: Annotated[bool, Query(description="the film drawn, its lungs outlined")] = False,
    ) -> Response:
        """Classify one film (the body) or several (multipart)."""
        if service.waiting >= service.limits.queue:
            raise service.busy()
        rows = await service.answer(await uploads.read(request, service.limits), heatmap, film)
        facts = service.model.facts
        answers = Answers(
            predictions=rows,
            thresholds=facts.thresholds,
            verdict=cautions.verdict_line(facts.judged),
            failed_audits=[str(name) for name in facts.judged.get("failed", [])],
            digest=service.digest,
        )
        content = answers.model_dump(by_alias=True, exclude_none=True)
        if all(not row.label for row in rows):
            return problems.respond(
                HTTPStatus.UNPROCESSABLE_ENTITY, rows[0].reason, more={**content, "notice": NOTICE}
            )
        return Response(answers.model_dump_json(by_alias=True, exclude_none=True),
                        media_type="application/json")  # fmt: skip


def _facts(app: FastAPI, service: Service) -> None:
    @app.get("/v1/model")
    async def model() -> ModelCard:
        """The model's card: classes, preparation, verdict, audits, digest."""
        trained, facts = service.model, service.model.facts
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
        )

    @app.get("/health")
    async def health() -> Health:
        """Whether the process answers."""
        return Health(status="ok")

    @app.get("/ready")
    async def ready() -> Health:
        """Whether films are accepted."""
        if not service.ready or service.waiting >= service.limits.queue:
            raise service.busy()
        return Health(status="ready")

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.telemetry.text(), media_type="text/plain; version=0.0.4")


def _page(app: FastAPI) -> None:
    folder = resources.files("hilum.serve") / "page"

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response((folder / "index.html").read_bytes(), media_type="text/html")

    app.mount("/page", StaticFiles(directory=str(folder)), name="page")
