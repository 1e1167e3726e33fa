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
    """The token that is asked for (none: loopback only), and the names the server answers to."""

    token: str = ""
    hosts: frozenset[str] = frozenset()  # empty: any

    def check(self, path: str, headers: Headers) -> None:
        """Raise ProblemError for a request that may not be answered."""
        host = _hostname(headers.get("host", ""))
        if self.hosts and host not in self.hosts:
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this server answers to {', '.join(sorted(self.hosts))}; got another host name; "
                "use one of these.",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "films are taken from this server's own page and from programs; got a request by "
                "another site's page; open this server's page.",
            )
        if self.token and path not in OPEN and not path.startswith(PAGE):
            self._check_token(headers.get("authorization", ""))

    def _check_token(self, header: str) -> None:
        kind, _, token = header.partition(" ")
        same = hmac.compare_digest(token.strip().encode(), self.token.encode())
        if kind.lower() != "bearer" or not same:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "wanted the header 'Authorization: Bearer TOKEN' with this server's token; got "
                f"{'another token' if header else 'none'}; ask whoever started the server for it.",
                {"WWW-Authenticate": "Bearer"},
            )


def access_for(host: str, token_file: Path | None) -> Access:
    """The rules of a server on `host`; HilumError where another machine could ask without token."""
    token = _token(token_file) if token_file else ""
    if not _is_loopback(host):
        if not token:
            raise HilumError(
                f"--host {host} lets other machines ask, which wants a token; got none; give "
                "--token-file FILE, or leave --host at 127.0.0.1."
            )
        return Access(token)
    return Access(token, frozenset({"localhost", "127.0.0.1", "::1", host}))


def _token(file: Path) -> str:
    if not file.is_file():
        raise MissingError(
            f"--token-file must be a file with a token; got {str(file)!r}, which does not exist; "
            "write one there, for instance by `openssl rand -hex 32`."
        )
    token = file.read_text(encoding="utf-8").strip()
    if len(token) < LEAST_TOKEN or not token.isascii() or len(token.split()) != 1:
        raise HilumError(
            f"{file} must hold one word of at least {LEAST_TOKEN} ASCII characters; got another; "
            "write one there, for instance by `openssl rand -hex 32`."
        )
    return token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hostname(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
