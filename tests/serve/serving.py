"""A tiny model's folder, decoders without processes, and a server in a thread."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx

from hilum.inference import answer
from hilum.inference.model import TrainedModel
from hilum.preprocess import from_list
from hilum.preprocess.lungs import segmenter
from hilum.serve.decoding import DecodedFilm, Decoders
from hilum.serve.server import Server
from hilum.types import HilumError

PATIENCE = 120  # seconds


@dataclass(frozen=True, slots=True)
class Tiny:
    """A model folder and its model."""

    folder: Path
    model: TrainedModel


@dataclass(slots=True)
class InThisProcess(Decoders):
    """Decoders without processes: for what has nothing to do with them. `gate` holds films up."""

    gate: threading.Event | None = None

    def open(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""

    async def read(self, data: bytes, pictures: bool) -> DecodedFilm | str:
        """As the processes do."""
        if self.gate is not None:
            await asyncio.to_thread(self.gate.wait, PATIENCE)
        try:
            pipeline = from_list(self.steps, segmenter.load_segmenter)
            return DecodedFilm(answer.prepare_file(data, pipeline))
        except HilumError as error:
            return answer.refusal(error)


@contextmanager
def running(server: Server) -> Iterator[str]:
    """A server in a thread, from its first answer to its end."""
    thread = threading.Thread(target=server.run_here, daemon=True)
    thread.start()
    wait_for(lambda: server.uvicorn.started or not thread.is_alive())
    try:
        yield server.address.url.rstrip("/")
    finally:
        server.uvicorn.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    """Ask again and again, for a while."""
    late = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < late
        time.sleep(0.02)


def problem(response: httpx.Response, status: int, words: str) -> httpx.Response:
    """A problem document with this status and these words, and no traceback in it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    answer = response.json()
    assert {"title", "status", "detail", "notice"} <= set(answer)
    assert answer["status"] == status
    assert words in answer["detail"]
    assert "Traceback" not in response.text
    return response
