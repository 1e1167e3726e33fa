"""One thread in front of the network: takes every film that waits, answers them in one pass."""

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass

from hilum.inference import answer
from hilum.inference.answer import Prediction, PreparedImage
from hilum.inference.model import TrainedModel
from hilum.serve.heat import HeatmapSource, share_of
from hilum.types import Floats

BATCH = 16  # films in one pass, so that the first of many does not wait for all


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction, and the heat map of its class where that was asked for."""

    prediction: Prediction
    heat: Floats | None = None  # (height, width) of the prepared film, from 0 to 1
    heat_reason: str = ""  # why there is none
    points: Floats | None = None  # (1, component) see `source_watch`


@dataclass(frozen=True, slots=True)
class _Job:
    film: PreparedImage
    heat: bool
    future: "Future[Answer]"


class Engine:
    """The model and its thread; `start`, `submit`, `stop`."""

    def __init__(self, model: TrainedModel) -> None:
        self.model = model
        self._heatmaps = HeatmapSource(model)
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def submit(self, film: PreparedImage, heat: bool = False) -> "Future[Answer]":
        """Put a film in line; its future has the answer."""
        future: Future[Answer] = Future()
        self._waiting.put(_Job(film, heat, future))
        return future

    def stop(self) -> None:
        """Answer what waits, then end the thread."""
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        running = True
        while running:
            jobs, running = self._next()
            # a client that has gone has cancelled its future, which can take no answer
            jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            for heat in (False, True):
                batch = [job for job in jobs if job.heat is heat]
                if batch:
                    self._answer(batch, heat)

    def _next(self) -> tuple[list[_Job], bool]:
        """All films that wait, at least one and at most BATCH; False at the end."""
        jobs: list[_Job] = []
        while len(jobs) < BATCH:
            try:
                job = self._waiting.get(block=not jobs)
            except queue.Empty:
                break
            if job is None:
                return jobs, False
            jobs.append(job)
        return jobs, True

    def _answer(self, jobs: list[_Job], heat: bool) -> None:
        """One pass for all; where it fails, one for each, so that no film spoils another's."""
        try:
            answers = self._answers([job.film for job in jobs], heat)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must learn of it
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            for job in jobs:
                self._answer([job], heat)
            return
        for job, result in zip(jobs, answers, strict=True):
            job.future.set_result(result)

    def _answers(self, films: list[PreparedImage], heat: bool) -> list[Answer]:
        one_pass = self._heatmaps.one_pass() if heat else None
        see = one_pass.features if one_pass else None
        predictions, points = answer.predict_each(self.model, films, see)
        classes, answers = self.model.facts.classes, []
        for film, prediction, point in zip(films, predictions, points, strict=True):
            best = classes.index(prediction.label)
            layer = share_of(one_pass, film.pixels, best) if one_pass else None
            reason = self._heatmaps.reason if heat else ""
            answers.append(Answer(prediction, layer, reason, point[None]))
        return answers
