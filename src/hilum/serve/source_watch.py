"""Whether the films that a server is sent are of a source that is new to its model.

A request of ten films or more is judged by itself. Films of smaller ones are judged 30 at a time:
until the next 30 are there, the last outcome holds. A film that is sent again and again, as by a
program that watches the server, counts once.
"""

import threading
from collections.abc import Sequence

import numpy as np

from hilum.inference import new_source
from hilum.inference.model import TrainedModel
from hilum.inference.new_source import LEAST, NewSource
from hilum.types import Floats

BLOCK = 30  # films of small requests that are judged together


class SourceWatch:
    """What the films of one server say of their source; it keeps the points of fewer than BLOCK."""

    def __init__(self, model: TrainedModel) -> None:
        self._sources = model.sources
        self._points: dict[bytes, Floats] = {}  # of different films
        self._latest: NewSource | None = None
        self._lock = threading.Lock()

    def judge(self, points: Sequence[Floats]) -> NewSource:
        """What holds for a request whose new films have these points, (1, component) each."""
        films = {point.tobytes(): point for point in points if np.isfinite(point).all()}
        if isinstance(self._sources, str) or len(films) >= LEAST:
            return self._judged([*films.values()])
        with self._lock:
            self._points |= films
            if len(self._points) >= BLOCK:
                self._latest, self._points = self._judged([*self._points.values()]), {}
        return self._latest or self._judged([*films.values()])

    def _judged(self, points: Sequence[Floats]) -> NewSource:
        table = np.concatenate(points) if points else np.zeros((0, 0), np.float32)
        return new_source.judge(self._sources, table, [None] * len(table))
