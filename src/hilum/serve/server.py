"""A service bound to a port; SIGTERM finishes what was accepted."""

import logging
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from hilum.inference import exported
from hilum.inference.digest import model_digest
from hilum.inference.model_json import find_model_folder
from hilum.serve import silence
from hilum.serve.access import access_for
from hilum.serve.application import create_app
from hilum.serve.limits import ServerLimits
from hilum.serve.protocol import BoundedProtocol
from hilum.serve.service import Service
from hilum.types import HilumError

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


@dataclass(slots=True)
class Server:
    """A model's folder made ready to be served at an address."""

    address: Address
    service: Service
    uvicorn: uvicorn.Server
    socket: socket.socket

    @classmethod
    def of(
        cls,
        folder: Path,
        address: Address,
        token_file: Path | None,
        limits: ServerLimits | None = None,
        accept_new_source: bool = False,
    ) -> "Server":
        """Load the model and take the port.

        Raises HilumError for a port in use or a host without token, and what `models.load` does.
        """
        access, limits = access_for(address.host, token_file), limits or ServerLimits()
        listener = _listen(address)
        try:
            home = find_model_folder(folder)
            service = Service.of(exported.load(home), model_digest(home), limits, accept_new_source)
        except BaseException:
            listener.close()
            raise
        config = uvicorn.Config(
            create_app(service, access),
            http=type("Protocol", (BoundedProtocol,), {"limits": limits}),
            ws="none", log_config=None, access_log=False, server_header=False,
            timeout_graceful_shutdown=FINISH_SECONDS, h11_max_incomplete_event_size=limits.head,
        )  # fmt: skip
        bound = Address(address.host, listener.getsockname()[1])
        return cls(bound, service, uvicorn.Server(config), listener)

    def run(self) -> None:
        """Answer until SIGTERM or Ctrl-C; what was accepted is finished first."""
        for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again at its end
            signal.signal(number, lambda *_: None)
        silence.keep_own_words()
        self.run_here()

    def run_here(self) -> None:
        """The same in any thread, until `uvicorn.should_exit`."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # its tracebacks quote films
        self.uvicorn.run(sockets=[self.socket])


def _listen(address: Address) -> socket.socket:
    """A bound socket; HilumError where the port is in use or not ours to take."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise HilumError(
            f"serve needs a free port; got {address.host}:{address.port}, where the system says "
            f"'{getattr(error, 'strerror', None) or error}'; choose another --port or --host."
        ) from None
    return listener
