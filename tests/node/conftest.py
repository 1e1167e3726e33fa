"""Servers of the tests end when they are told to, not at the next half second."""

from collections.abc import Iterator

import pytest
from pynetdicom.transport import AssociationServer

POLL = 0.02  # seconds between two looks at whether a server is to end; its default is 0.5


@pytest.fixture(scope="session", autouse=True)
def prompt_servers() -> Iterator[None]:
    """Archives and nodes that listen in this process."""
    serve = AssociationServer.serve_forever
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AssociationServer, "serve_forever", lambda server: serve(server, POLL))
        yield
