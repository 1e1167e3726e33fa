"""Who may ask: the token, and requests that another site's page makes through a browser."""

import hmac
import ipaddress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from hilum.serve.problems import ProblemError
from hilum.types import HilumError, MissingError

LEAST_TOKEN = 16  # characters
OPEN = ("/", "/health", "/ready")  # hold nothing of films or of the model
PAGE = "/page/"


@dataclass(frozen=True, slots=True)
class Access:
    """The token that a request must carry, and the host names that the server answers to."""

    token: str = ""  # none: loopback only
    hosts: frozenset[str] = frozenset()  # empty: any

    def check(self, path: str, headers: Headers) -> None:
        """Raise ProblemError for a request that may not be answered."""
        host = headers.get("host", "")
        if self.hosts and _hostname(f"//{host}") not in self.hosts:
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this server answers to {', '.join(sorted(self.hosts))}; got another host name; "
                "use one of these.",
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("//")[2] != host:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "films are accepted from this server's own page and from programs; got "
                "a request from another site's page; open this server's page.",
            )
        if self.token and path not in OPEN and not path.startswith(PAGE):
            self._check_token(headers.get("authorization", ""))

    def _check_token(self, header: str) -> None:
        kind, _, token = header.partition(" ")
        same = hmac.compare_digest(token.strip().encode(), self.token.encode())
        if kind.lower() != "bearer" or not same:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "expected the header 'Authorization: Bearer TOKEN' with this server's token; got "
                f"{'another token' if header else 'none'}; ask the person who runs the server.",
                {"WWW-Authenticate": "Bearer"},
            )


def access_for(host: str, token_file: Path | None) -> Access:
    """The rules of a server on `host`; HilumError where another machine could ask without token."""
    token = read_token(token_file) if token_file else ""
    if not _is_loopback(host):
        if not token:
            raise HilumError(
                f"--host {host} lets other machines ask, which needs a token; got none; "
                "give --token-file FILE, or leave --host at 127.0.0.1."
            )
        return Access(token)
    return Access(token, frozenset({"localhost", "127.0.0.1", "::1", host}))


def read_token(file: Path) -> str:
    """The token that a file holds; MissingError without the file, HilumError for a weak token."""
    if not file.is_file():
        what = "is none" if file.exists() else "does not exist"
        raise MissingError(
            f"--token-file must be a file with a token; got {str(file)!r}, which {what}; "
            "write one there, for instance by `openssl rand -hex 32`."
        )
    token = file.read_bytes().decode("utf-8", "replace").strip()
    if len(token) < LEAST_TOKEN or not token.isascii() or len(token.split()) != 1:
        raise HilumError(
            f"{file} must hold one word of at least {LEAST_TOKEN} ASCII characters; got another "
            "content; write one there, for instance by `openssl rand -hex 32`."
        )
    return token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hostname(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
