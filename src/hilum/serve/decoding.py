"""Films decoded in processes that may die: bounded in time and memory, replaced when they end."""

import asyncio
import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import cv2
import pebble
from pebble import ProcessExpired, ProcessPool

from hilum import files, images
from hilum.files import bounds, exit_codes
from hilum.inference import answer
from hilum.inference.answer import PreparedImage
from hilum.preprocess import Pipeline, from_list
from hilum.preprocess.geometry import Resize
from hilum.preprocess.lungs import segmenter
from hilum.preprocess.step import as_uint8
from hilum.serve import silence
from hilum.serve.limits import ServerLimits
from hilum.serve.pictures import FilmPicture, grey_rule, outlines, picture, smaller
from hilum.types import HilumError, Image

FILM_SIDE = 1024  # pixels of the shorter side of the film that the page shows
FINER = 4  # times the network's own size: pictures of what it sees would be coarse otherwise


@dataclass(frozen=True, slots=True)
class DecodedFilm:
    """What a decoder hands back: ready for the network, and pictures where they were asked for."""

    prepared: PreparedImage
    film: FilmPicture | None = None  # as its file shows it
    seen: FilmPicture | None = None  # as the network sees it, drawn finer


Read = TypeVar("Read")  # what a decoder hands back
Decoder: TypeAlias = Callable[[bytes, bool], DecodedFilm]  # bytes, and whether to draw pictures


@dataclass(slots=True)
class Decoders:
    """Processes that read films; start with `open`, end with `close`."""

    steps: Sequence[Mapping[str, Any]]  # the model's preparation, as data
    limits: ServerLimits
    decode: Decoder = field(default_factory=lambda: decode)
    died: int = 0  # processes that a film has ended
    pool: ProcessPool | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        """Start the processes; each loads the model's preparation before its first film."""
        pebble.CONSTS.term_timeout = 0  # a decoder that hangs is killed, not asked to end
        self.pool = ProcessPool(
            max_workers=self.limits.decoders or files.available_cpus(),
            max_tasks=0,
            initializer=prepare_process,
            initargs=[self.steps, self.limits.film_memory, self.limits.film_processor],
            context=multiprocessing.get_context("spawn"),
        )
        assert self.pool.active  # noqa: S101 - starts them: else the first film would wait

    async def read(self, data: bytes, pictures: bool) -> DecodedFilm | str:
        """A film's bytes made ready, or the sentence that says why they cannot be."""
        outcome = await self._try(data, pictures)
        if isinstance(outcome, BrokenProcessPool):  # an idle decoder was ended from outside
            outcome = await self._try(data, pictures)
        return self.said(outcome)

    async def _try(self, data: bytes, pictures: bool) -> DecodedFilm | BaseException:
        """The film, or what went wrong with it."""
        future = asyncio.wrap_future(self.submit(self.decode, data, pictures))
        await asyncio.wait([future])
        return future.exception() or future.result()

    def submit(self, decode: Callable[..., Read], *words: Any) -> "Future[Read]":
        """Put a film in line, for any decoder and what it takes; from any thread."""
        with self._lock:
            if self.pool is None or not self.pool.active:
                self.close()
                self.open()
            assert self.pool is not None  # noqa: S101 - opened above
            return self.pool.schedule(bounded, [decode, *words], timeout=self.limits.film_seconds)

    def said(self, outcome: Read | BaseException) -> Read | str:
        """A film, or the sentence that says what went wrong with it."""
        if isinstance(outcome, HilumError):
            return answer.refusal(outcome)
        if isinstance(outcome, BaseException):
            self.died += isinstance(outcome, TimeoutError | ProcessExpired)
            return self._sentence(outcome)
        return outcome

    def _sentence(self, error: BaseException) -> str:
        code = getattr(error, "exitcode", None)
        if isinstance(error, TimeoutError) or exit_codes.out_of_time(code):
            return (
                f"expected a film that is decoded within {self.limits.film_processor:g} "
                f"s of computing and {self.limits.film_seconds:g} s in all, got one "
                "that takes longer; export it again."
            )
        if isinstance(error, ProcessExpired):
            return (
                "expected a film that can be decoded, got one that ends the decoder "
                "(which was restarted); export it again."
            )
        return (  # its own words may quote the film
            "expected a film that can be prepared, got one on which the decoder fails "
            f"({type(error).__name__}); export it again."
        )

    def close(self) -> None:
        """End the processes at once; whatever was accepted has been answered before."""
        if self.pool is not None:
            self.pool.stop()  # type: ignore[no-untyped-call]
            self.pool.join()


class _Process:
    """What a decoding process holds."""

    pipeline: Pipeline
    fine: Pipeline  # the same at FINER times the size, for pictures
    processor: float  # seconds of computing for one film


def bounded(decode: Callable[..., Read], *words: Any) -> Read:
    """What a decoder makes of a film within its bound of computing."""
    bounds.bound_processor(_Process.processor)
    return decode(*words)


def prepare_process(steps: Sequence[Mapping[str, Any]], more_memory: int, processor: float) -> None:
    """Build a model's preparation and bound this process's memory and threads.

    Signals are the parent's to answer: a service manager may send them to every process.
    """
    silence.mute_process()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _Process.pipeline = from_list(steps, segmenter.load_segmenter)
    _Process.fine = from_list([_finer(step) for step in steps], segmenter.load_segmenter)
    _Process.processor = processor
    bounds.bound_memory(more_memory)


def _finer(step: Mapping[str, Any]) -> dict[str, Any]:
    return {**step, **({"side": FINER * step["side"]} if "side" in step else {})}


def model_pipeline() -> Pipeline:
    """The preparation of this decoding process's model."""
    return _Process.pipeline


def decode(data: bytes, pictures: bool) -> DecodedFilm:
    """A film's bytes -> what the network needs of it; raises HilumError as `images.read`."""
    image = images.read(data, _Process.pipeline.decode_side, hashed=True)
    prepared = answer.from_image(image, data, _Process.pipeline)
    if not pictures:
        return DecodedFilm(prepared)
    if was_shrunk(image):
        image = images.read(data, FILM_SIDE)
    greys, find_lungs = grey_rule(image.facts), segmenter.load_segmenter()
    film, seen = smaller(as_uint8(image.pixels)), _Process.fine(image.pixels)
    lungs = outlines(find_lungs(film))
    lungs_seen = lungs if _keeps_frame(_Process.fine) else outlines(find_lungs(seen))
    return DecodedFilm(prepared, picture(film, greys, lungs), picture(seen, greys, lungs_seen))


def _keeps_frame(pipeline: Pipeline) -> bool:
    """Whether the network sees the whole film and no more, so that outlines stay where they are."""
    return all(isinstance(s, Resize) or s.moves_pixels == "never" for s in pipeline.steps)


def was_shrunk(image: Image) -> bool:
    """Whether a JPEG was decoded smaller than it is."""
    return image.pixels.shape != (image.facts["height"], image.facts["width"])
