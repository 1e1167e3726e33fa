"""One model at work: films in, answers out, and a bound on how many may wait."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus

from hilum.inference.model import TrainedModel
from hilum.inference.new_source import NewSource
from hilum.serve.decoding import DecodedFilm, Decoders
from hilum.serve.engine import Answer, Engine
from hilum.serve.heat import METHOD
from hilum.serve.limits import MEBI, ServerLimits
from hilum.serve.pictures import FilmPicture, heat_layer
from hilum.serve.problems import ProblemError
from hilum.serve.schemas import DrawnFilm, FilmAnswer, Heat
from hilum.serve.source_watch import SourceWatch
from hilum.serve.telemetry import Telemetry
from hilum.serve.uploads import Upload
from hilum.types import Floats

RETRY_SECONDS = 2


@dataclass(slots=True)
class Service:
    """One model, its decoders and its counters."""

    model: TrainedModel
    digest: str
    limits: ServerLimits
    engine: Engine
    decoders: Decoders
    telemetry: Telemetry = field(default_factory=Telemetry)
    waiting: int = 0  # films accepted and not yet answered
    accepts: bool = False  # films of a source new to the model
    held: int = 0  # bytes of the requests that are read or wait
    ready: bool = False
    sources: SourceWatch = field(init=False)

    def __post_init__(self) -> None:
        self.sources = SourceWatch(self.model)

    @classmethod
    def of(
        cls, model: TrainedModel, digest: str, limits: ServerLimits, accepts: bool = False
    ) -> "Service":
        """A service that is not started."""
        decoders = Decoders(model.pipeline.as_list(), limits)
        return cls(model, digest, limits, Engine(model), decoders, accepts=accepts)

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

    @property
    def full(self) -> bool:
        """Whether not one film more can be accepted."""
        return self.waiting >= self.limits.queue

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Room for a request of so many bytes; ProblemError where there is none."""
        if self.full or self.held + size > self.limits.held:
            raise self.busy()
        self.held += size
        try:
            yield
        finally:
            self.held -= size

    async def answer(
        self, films: list[Upload], heat: bool, picture: bool
    ) -> tuple[list[FilmAnswer], NewSource]:
        """Every film's answer, in order, and whether they are of a new source.

        Raises ProblemError where too many films wait already.
        """
        points: list[Floats] = []
        if self.waiting + len(films) > self.limits.queue:
            raise self.busy()
        self._wait(len(films))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._one(film, heat, picture, points)) for film in films
                ]
        except BaseExceptionGroup as errors:  # a fault of ours in one of them
            raise errors.exceptions[0] from None
        finally:
            self._wait(-len(films))
        judged = await asyncio.to_thread(self.sources.judge, points)
        return [self._with_source(task.result(), judged) for task in tasks], judged

    def _with_source(self, row: FilmAnswer, judged: NewSource) -> FilmAnswer:
        """A film's answer with what holds for its source, counted."""
        if row.label:
            reason = row.reason or ("" if self.accepts else judged.reason)
            more = {"new_source": judged.state, "reason": reason, "abstain": reason != ""}
            row = row.model_copy(update=more)
            self.telemetry.films.labels("abstained" if row.abstain else "answered").inc()
        return row

    def busy(self) -> ProblemError:
        """The answer to a client where the queue is full."""
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"expected room among {self.limits.queue} waiting films of {self.limits.held // MEBI} "
            "MiB; got a full queue; send the films again in a moment.",
            {"Retry-After": str(RETRY_SECONDS)},
        )

    def _wait(self, films: int) -> None:
        self.waiting += films
        self.telemetry.waiting.set(self.waiting)
        self.telemetry.restarts.set(self.decoders.died)

    async def _one(
        self, film: Upload, heat: bool, picture: bool, points: list[Floats]
    ) -> FilmAnswer:
        decoded = await self.decoders.read(film.data, picture)
        if isinstance(decoded, str):
            self.telemetry.films.labels("unreadable").inc()
            return FilmAnswer(
                path=film.name, label="", probabilities={}, abstain=True, reason=decoded, seen=""
            )
        answer = await asyncio.wrap_future(self.engine.submit(decoded.prepared, heat))
        if answer.points is not None and not answer.prediction.seen:
            points.append(answer.points)
        return _film_answer(film.name, answer, decoded)


def _film_answer(name: str, answer: Answer, decoded: DecodedFilm) -> FilmAnswer:
    prediction = answer.prediction
    return FilmAnswer(
        path=name,
        label=prediction.label,
        probabilities=prediction.probabilities,
        abstain=prediction.abstained,
        reason=prediction.reason,
        seen=prediction.seen,
        heatmap=_heat(answer),
        film=_picture(decoded.film),
        as_seen=_picture(decoded.seen),
    )


def _heat(answer: Answer) -> Heat | None:
    if answer.heat is None and not answer.heat_reason:
        return None
    layer = "" if answer.heat is None else _text(heat_layer(answer.heat))
    label = answer.prediction.label
    return Heat(png=layer, method=METHOD, reason=answer.heat_reason, class_=label)


def _picture(drawn: FilmPicture | None) -> DrawnFilm | None:
    return DrawnFilm(**{**asdict(drawn), "png": _text(drawn.png)}) if drawn else None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
