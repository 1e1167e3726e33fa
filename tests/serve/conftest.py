"""Fixtures of the tests of the server: a tiny model, a live server, one inside this process."""

import hashlib
import threading
from collections.abc import Callable, Iterator

import pytest
from films_to_send import formats, tiny_model
from server_process import Running, start
from serving import InThisProcess, Tiny, running
from starlette.testclient import TestClient

from hilum.serve.access import Access
from hilum.serve.application import create_app
from hilum.serve.engine import Engine
from hilum.serve.limits import ServerLimits
from hilum.serve.server import Address, Server
from hilum.serve.service import Service


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A model that knows one of the films that the tests send."""
    known = hashlib.sha256(formats()["film.tif"]).hexdigest()
    folder = tmp_path_factory.mktemp("serve") / "model"
    return Tiny(folder, tiny_model(folder, (known,)))


@pytest.fixture(scope="session")
def live(tiny: Tiny) -> Iterator[str]:
    """The address of a server with a decoding process of its own."""
    with running(Server.of(tiny.folder, Address(port=0), None, ServerLimits(decoders=1))) as url:
        yield url


@pytest.fixture
def server(tiny: Tiny) -> Iterator[Running]:
    """A server in a process of its own, which ends in order."""
    made = start(tiny.folder)
    yield made
    assert made.stop().code == 0


@pytest.fixture
def in_process(tiny: Tiny) -> Iterator[Callable[..., TestClient]]:
    """Make a client of an application without a port, with limits and access of its own."""
    clients: list[TestClient] = []

    def make(
        limits: ServerLimits | None = None,
        access: Access | None = None,
        gate: threading.Event | None = None,
    ) -> TestClient:
        limits = limits or ServerLimits()
        decoders = InThisProcess(tiny.model.pipeline.as_list(), limits, gate=gate)
        service = Service(tiny.model, "digest", limits, Engine(tiny.model), decoders)
        client = TestClient(create_app(service, access or Access()), base_url="http://localhost")
        client.__enter__()
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)
