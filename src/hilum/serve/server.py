"""A service bound to a port: uvicorn, slow clients cut off, SIGTERM finishes what was accepted."""

import asyncio
import logging
import socket
from dataclasses import dataclass
from pathlib import Path

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hilum.inference import model as models
from hilum.inference.model_json import find_model_folder
from hilum.serve.access import access_for
from hilum.serve.application import Service, create_app
from hilum.serve.digest import model_digest
from hilum.serve.limits import Limits
from hilum.types import HilumError

CONNECTIONS = 512  # at a time
FINISH_SECONDS = 60  # for what was accepted, after SIGTERM
BACKLOG = 256


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str = "127.0.0.1"
    port: int = 8000

    @property
    def url(self) -> str:
        """For a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP with a bound on how long a request's headers may take."""

    seconds = Limits().idle_seconds
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect headers from now on."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Stop the clock once the headers are whole; start it with the next request."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._timer is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._forget()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@dataclass(slots=True)
class Server:
    """A model's folder made ready to be served at an address."""

    address: Address
    service: Service
    uvicorn: uvicorn.Server
    socket: socket.socket

    @classmethod
    def of(
        cls, folder: Path, address: Address, token_file: Path | None, limits: Limits | None = None
    ) -> "Server":
        """Load the model and take the port.

        Raises HilumError for a port in use or a host without token, and what `models.load` does.
        """
        access = access_for(address.host, token_file)
        taken = _listen(address)
        home = find_model_folder(folder)
        service = Service.of(models.load(home), model_digest(home), limits or Limits())
        config = uvicorn.Config(
            create_app(service, access),
            http=TimedProtocol, ws="none", log_config=None, access_log=False, server_header=False,
            limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=FINISH_SECONDS,
        )  # fmt: skip
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # its tracebacks quote films
        bound = Address(address.host, taken.getsockname()[1])
        return cls(bound, service, uvicorn.Server(config), taken)

    def run(self) -> None:
        """Answer until SIGTERM or Ctrl-C; what was accepted is finished first."""
        self.uvicorn.run(sockets=[self.socket])


def _listen(address: Address) -> socket.socket:
    """A bound socket; HilumError where the port is in use or not ours to take."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    taken = socket.socket(family)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((address.host, address.port))
        taken.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        taken.close()
        raise HilumError(
            f"serve wants a free port; got {address.host}:{address.port}, where the system says "
            f"'{getattr(error, 'strerror', None) or error}'; choose another --port or --host."
        ) from None
    return taken
