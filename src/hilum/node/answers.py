"""A film's answer as DICOM objects: decoded in a process that may die, computed in one thread."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol, TypeAlias

from pydicom import Dataset, dcmread

from hilum import images
from hilum.dicom import source
from hilum.dicom.results import ResultMaker, Seen, parts_of, picture_side
from hilum.dicom.source import Source
from hilum.inference import answer
from hilum.inference.answer import Prediction, PreparedImage
from hilum.inference.model import TrainedModel
from hilum.node.rules import FilmRules
from hilum.serve.decoding import Decoders, model_pipeline, was_shrunk
from hilum.serve.engine import Engine
from hilum.serve.limits import ServerLimits
from hilum.types import HilumError


@dataclass(frozen=True, slots=True)
class Left:
    """A film that the rules do not take, and why."""

    reason: str


Answered: TypeAlias = Sequence[Dataset] | Left


class Answers(Protocol):
    """What makes results of films, several at a time."""

    def begin(self, film: Path, sender: str, rules: FilmRules) -> Callable[[], Answered]:
        """Start on a film; what is returned waits for its results.

        That raises HilumError where there can be none, and OSError where the disk refuses.
        """


@dataclass(frozen=True, slots=True)
class ReadFilm:
    """A film decoded: what its results need, and what the network needs or why it has none."""

    source: Source
    prepared: PreparedImage | None
    reason: str = ""  # why it cannot be assessed


@dataclass(frozen=True, slots=True)
class Reading:
    """What a decoding process does with a film; it is sent there."""

    film: Path
    sender: str
    rules: FilmRules

    def __call__(self) -> ReadFilm | Left:
        """Raises HilumError for a film that can have no results."""
        data = self.film.read_bytes()
        dataset = accepted(self.film, data, self.sender, self.rules)
        if isinstance(dataset, Left):
            return dataset
        pipeline = model_pipeline()
        try:
            image = images.read(data, pipeline.decode_side, hashed=True)
        except HilumError as error:
            return ReadFilm(source.read_source(dataset, None, parts_of), None, str(error))
        prepared = answer.from_image(image, data, pipeline)
        if was_shrunk(image):
            image = images.read(data, picture_side(pipeline.decode_side))
        return ReadFilm(source.read_source(dataset, image, parts_of), prepared)


def accepted(film: Path, data: bytes, sender: str, rules: FilmRules) -> Dataset | Left:
    """The whole data set of a film that the rules take.

    Raises HilumError for one that is damaged or has no patient.
    """
    try:
        dataset = dcmread(BytesIO(data))
    except Exception as error:  # noqa: BLE001 - whatever pydicom meets; its words may quote the film
        raise HilumError(
            f"expected a data set that can be read, got a damaged one ({type(error).__name__}); "
            "send it again"
        ) from None
    if reason := rules.against(film, dataset, sender):
        return Left(reason)
    if not dataset.get("PatientID"):
        raise HilumError(
            "a result goes into the study of its patient; got a film without Patient ID; give "
            "it one in the archive and send it again"
        )
    return dataset


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """A model's answers as DICOM objects, the same as those of `hilum predict`."""

    maker: ResultMaker
    engine: Engine
    decoders: Decoders

    def begin(self, film: Path, sender: str, rules: FilmRules) -> Callable[[], Answered]:
        """See `Answers`."""
        reading = Reading(film, sender, rules)
        future = self.decoders.submit(reading)
        return lambda: self._results(self._read(future, reading))

    def _read(self, future: "Future[ReadFilm | Left]", reading: Reading) -> ReadFilm | Left:
        outcome = future.exception() or future.result()
        if isinstance(outcome, BrokenProcessPool):  # an idle decoder was ended from outside
            again = self.decoders.submit(reading)
            outcome = again.exception() or again.result()
        if isinstance(outcome, OSError) and outcome.errno:  # of the disk, not of the film
            raise outcome
        read = self.decoders.said(outcome)
        if isinstance(read, str):
            raise HilumError(read)
        return read

    def _results(self, film: ReadFilm | Left) -> Answered:
        if isinstance(film, Left):
            return film
        if film.prepared is None:
            refused = Prediction("", {}, abstained=True, reason=film.reason)
            return self.maker.write(film.source, refused, None)
        answered = self.engine.submit(film.prepared, heat=True).result()
        seen = Seen(film.prepared.pixels, answered.heat, answered.heat_reason)
        return self.maker.write(film.source, answered.prediction, seen)


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
