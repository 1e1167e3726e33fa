"""A film's answer as DICOM objects: decoded in a process that may die, computed in one thread."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from pydicom import Dataset

from hilum.dicom.results import ResultMaker, Seen
from hilum.inference.answer import Prediction, PreparedImage
from hilum.inference.model import TrainedModel
from hilum.node.reading import Left, ReadFilm, Reading
from hilum.node.rules import FilmRules
from hilum.serve.decoding import Decoders
from hilum.serve.engine import Answer, Engine
from hilum.serve.limits import ServerLimits
from hilum.types import HilumError

Answered: TypeAlias = Sequence[Dataset] | Left


class FilmAnswers(Protocol):
    """What makes results of films, several at a time."""

    def begin(self, film: Path, sender: str, rules: FilmRules) -> Callable[[], Answered]:
        """Start on a film; what is returned waits for its results.

        That raises HilumError where there can be none, and OSError where the disk refuses.
        """


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """A model's answers as DICOM objects, the same as those of `hilum predict`."""

    maker: ResultMaker
    engine: Engine
    decoders: Decoders

    def begin(self, film: Path, sender: str, rules: FilmRules) -> Callable[[], Answered]:
        """See `FilmAnswers`."""
        reading = Reading(film, sender, rules)
        future = self.decoders.submit(reading)
        ahead = Ahead(self.engine)
        future.add_done_callback(ahead.ask)
        return lambda: self._results(self._read(future, reading), ahead)

    def _read(self, future: "Future[ReadFilm | Left]", reading: Reading) -> ReadFilm | Left:
        outcome: ReadFilm | Left | BaseException = future.exception() or future.result()
        if isinstance(outcome, BrokenProcessPool):  # an idle decoder was ended from outside
            again = self.decoders.submit(reading)
            outcome = again.exception() or again.result()
        if isinstance(outcome, OSError) and outcome.errno:  # of the disk, not of the film
            raise outcome
        read: ReadFilm | Left | str = self.decoders.said(outcome)
        if isinstance(read, str):
            raise HilumError(read)
        return read

    def _results(self, film: ReadFilm | Left, ahead: "Ahead") -> Answered:
        if isinstance(film, Left):
            return film
        if film.prepared is None:
            refused = Prediction("", {}, abstained=True, reason=film.reason)
            return self.maker.write(film.source, refused, None)
        answered = ahead.answer(film.prepared)
        seen = Seen(film.prepared.pixels, answered.heat, answered.heat_reason)
        return self.maker.write(film.source, answered.prediction, seen)


@dataclass(slots=True)
class Ahead:
    """A film's answer, asked for as soon as it is decoded: earlier films' results are written."""

    engine: Engine
    film: PreparedImage | None = None
    future: "Future[Answer] | None" = None

    def ask(self, decoded: "Future[ReadFilm | Left]") -> None:
        """The decoder's film, where it gave one, goes to the network."""
        if decoded.cancelled() or decoded.exception() is not None:
            return
        read = decoded.result()
        if isinstance(read, ReadFilm) and read.prepared is not None:
            self.film, self.future = read.prepared, self.engine.submit(read.prepared, heat=True)

    def answer(self, film: PreparedImage) -> Answer:
        """The answer to this film, which a second decoder may have read."""
        if self.future is None or self.film is not film:
            return self.engine.submit(film, heat=True).result()
        return self.future.result()


@contextmanager
def own_answers(folder: Path, model: TrainedModel) -> Iterator[ModelAnswers]:
    """Answers of a model that nothing else in this process uses."""
    answers = ModelAnswers(
        ResultMaker.of(folder, model, heat=False), Engine(model),
        Decoders(model.pipeline.as_list(), ServerLimits()),
    )  # fmt: skip
    answers.engine.start()
    answers.decoders.open()
    try:
        yield answers
    finally:
        answers.engine.stop()
        answers.decoders.close()


@contextmanager
def shared_answers(folder: Path, port: int) -> Iterator[tuple[ModelAnswers, str]]:
    """Answers of a model that `hilum serve` offers at a port too, and the page's address.

    Raises HilumError for a port in use.
    """
    from hilum.serve.server import Address, Server

    server = Server.of(folder, Address(port=port), None)
    thread = threading.Thread(target=server.run_here, name="http", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not server.service.ready:
            time.sleep(0.05)
        service = server.service
        maker = ResultMaker.of(folder, service.model, heat=False)
        yield ModelAnswers(maker, service.engine, service.decoders), server.address.url
    finally:
        server.uvicorn.should_exit = True
        thread.join()
