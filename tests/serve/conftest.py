"""Fixtures of the server's tests: a tiny model, a server on a free port, one inside this process."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from films_to_send import formats, tiny_model
from starlette.testclient import TestClient

from hilum import images
from hilum.inference import answer
from hilum.inference.model import TrainedModel
from hilum.serve.access import Access
from hilum.serve.application import create_app
from hilum.serve.decoding import UNNAMED, DecodedFilm, Decoders
from hilum.serve.engine import Engine
from hilum.serve.limits import Limits
from hilum.serve.server import Address, Server
from hilum.serve.service import Service
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
            return DecodedFilm(answer.from_file(data, self.model_pipeline))
        except HilumError as error:
            return str(error).removeprefix(UNNAMED)

    @property
    def model_pipeline(self) -> Any:
        """The model's preparation."""
        from hilum.preprocess import from_list
        from hilum.preprocess.lungs import segmenter

        return from_list(self.steps, segmenter.load_segmenter)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A model that knows one of the films that the tests send."""
    known = hashlib.sha256(formats()["film.tif"]).hexdigest()
    folder = tmp_path_factory.mktemp("serve") / "model"
    return Tiny(folder, tiny_model(folder, (known,)))


@pytest.fixture(scope="session")
def live(tiny: Tiny) -> Iterator[str]:
    """The address of a server with a decoding process of its own."""
    with running(Server.of(tiny.folder, Address(port=0), None, Limits(decoders=1))) as url:
        yield url


@contextmanager
def running(server: Server) -> Iterator[str]:
    """A server in a thread, from its first answer to its end."""
    thread = threading.Thread(target=server.run_here, daemon=True)
    thread.start()
    url = server.address.url.rstrip("/")
    late = time.monotonic() + PATIENCE
    while not server.uvicorn.started:
        assert thread.is_alive()
        assert time.monotonic() < late
        time.sleep(0.02)
    try:
        yield url
    finally:
        server.uvicorn.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


Ask = Callable[..., httpx.Response]


@pytest.fixture
def in_process(tiny: Tiny) -> Iterator[Callable[..., TestClient]]:
    """Make a client of an application without a port, with limits and access of its own."""
    clients: list[TestClient] = []

    def make(
        limits: Limits | None = None,
        access: Access | None = None,
        gate: threading.Event | None = None,
    ) -> TestClient:
        limits = limits or Limits()
        decoders = InThisProcess(tiny.model.pipeline.as_list(), limits, gate=gate)
        service = Service(tiny.model, "digest", limits, Engine(tiny.model), decoders)
        client = TestClient(create_app(service, access or Access()), base_url="http://localhost")
        client.__enter__()
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def unread(data: bytes) -> str:
    """The sentence of the command line about bytes that are no image."""
    with pytest.raises(HilumError) as error:
        images.read(data)
    return str(error.value).removeprefix(UNNAMED)
