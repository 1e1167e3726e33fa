"""One model at work: films in, answers out, and a bound on how many may wait."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus

from hilum.inference.model import TrainedModel
from hilum.serve.decoding import DecodedFilm, Decoders
from hilum.serve.engine import Answer, Engine
from hilum.serve.heat import METHOD
from hilum.serve.limits import MEBI, ServerLimits
from hilum.serve.pictures import FilmPicture, heat_layer
from hilum.serve.problems import ProblemError
from hilum.serve.schemas import DrawnFilm, FilmAnswer, Heat
from hilum.serve.telemetry import Telemetry
from hilum.serve.uploads import Upload

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
    held: int = 0  # bytes of the requests that are read or wait
    ready: bool = False

    @classmethod
    def of(cls, model: TrainedModel, digest: str, limits: ServerLimits) -> "Service":
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

    async def answer(self, films: list[Upload], heat: bool, picture: bool) -> list[FilmAnswer]:
        """Every film's answer, in order; raises ProblemError where too many films wait already."""
        if self.waiting + len(films) > self.limits.queue:
            raise self.busy()
        self._wait(len(films))
        try:
            async with asyncio.TaskGroup() as group:
                rows = [group.create_task(self._one(film, heat, picture)) for film in films]
        except BaseExceptionGroup as errors:  # a fault of ours in one of them
            raise errors.exceptions[0] from None
        finally:
            self._wait(-len(films))
        return [row.result() for row in rows]

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
