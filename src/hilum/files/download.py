"""Downloads that go on where they stopped and are only believed when their checksum fits."""

import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from hilum.files.disk import sha256 as sha256_of
from hilum.files.disk import synchronise, write_error
from hilum.types import HilumError, MissingError

if TYPE_CHECKING:
    from urllib.request import OpenerDirector, Request

Progress: TypeAlias = Callable[[int, int], None] | None

_CHUNK = 1 << 18  # bytes
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses worth another try, RFC 9110
_OUT_OF_RANGE = 416


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How patient a download is, and how much it takes."""

    tries: int = 5
    pause: float = 1.0  # seconds before the second try; doubled each time
    timeout: float = 30.0  # seconds without a byte
    bytes: int = 200 * 2**30


@dataclass(frozen=True, slots=True)
class _Download:
    url: str
    target: Path
    sha256: str | None
    progress: Progress
    limits: HttpLimits

    @property
    def part(self) -> Path:
        """What has arrived so far."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def tag(self) -> Path:
        """The server's name for the version that `part` belongs to (ETag or date)."""
        return self.target.with_name(self.target.name + ".part.tag")


class _BrokenError(Exception):
    """The connection failed in a way that another try may solve."""


_LIMITS = HttpLimits()


def download(
    url: str,
    to: str | Path,
    sha256: str | None = None,
    progress: Progress = None,
    limits: HttpLimits = _LIMITS,
) -> Path:
    """Fetch `url` into the file `to` and return it; a file already there with that hash stays.

    An interrupted download is kept in "<to>.part" and resumed from there (RFC 9110, range requests)
    if the server still has the same version; otherwise it starts again. `progress` counts bytes;
    its total is 0 where the server does not say. Raises MissingError where the network fails,
    HilumError for a wrong checksum (the file is deleted), an address that is not http(s), a file
    above `limits.bytes` and a disk that refuses.
    """
    _require_web(url)
    job = _Download(url, Path(to), sha256.lower() if sha256 else None, progress, limits)
    if job.target.is_file() and job.sha256 in (None, sha256_of(job.target)):
        return job.target
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        _receive_patiently(job)
        _verify(job)
        job.part.replace(job.target)
        job.tag.unlink(missing_ok=True)
        synchronise(job.target.parent)
    except OSError as error:  # network faults have become sentences by now
        raise write_error(job.target, error) from error
    return job.target


def _require_web(url: str) -> None:
    try:
        address = urlsplit(url)
        fine = address.scheme in ("http", "https") and bool(address.hostname) and url.isascii()
    except ValueError:
        fine = False
    if not fine:
        raise HilumError(f"a download needs an http or https address; got {url!r}; correct it.")


def _receive_patiently(job: _Download) -> None:
    fault = ""
    for attempt in range(job.limits.tries):
        if attempt:
            time.sleep(job.limits.pause * 2 ** (attempt - 1))
        try:
            return _receive(job)
        except _BrokenError as error:
            fault = str(error)
    held = job.part.stat().st_size if job.part.exists() else 0
    raise MissingError(
        f"{job.url} must be fetched; got: {fault} after {job.limits.tries} tries, {held} bytes "
        f"so far; run it again to go on, or put the file at {job.target} yourself."
    )


def _receive(job: _Download) -> None:
    held = _resumable(job)
    with _open(job, held) as response:
        start = _start(job, response, held)
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else 0
        _require_within(job, total)
        job.tag.write_text(_version(response), encoding="utf-8")
        with job.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            got = _copy(job, response, file, (start, total))
    if total and got != total:
        raise _BrokenError(f"the connection ended at byte {got} of {total}")


def _resumable(job: _Download) -> int:
    """Byte from which a range request may go on, 0 for a fresh start.

    The last byte is requested again, since a server refuses a range that begins at the end.
    """
    identified = job.sha256 is not None or (job.tag.is_file() and job.tag.read_text("utf-8") != "")
    return max(job.part.stat().st_size - 1, 0) if identified and job.part.is_file() else 0


def _open(job: _Download, held: int) -> http.client.HTTPResponse:
    from urllib.error import HTTPError

    try:
        return _opener().open(_request(job, held), timeout=job.limits.timeout)
    except HTTPError as error:
        with error:
            raise _http_fault(job, error.code, error.reason) from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_in_words(error)) from error


def _request(job: _Download, held: int) -> "Request":
    from urllib.request import Request

    headers = {"User-Agent": "hilum", "Accept-Encoding": "identity"}
    if held:
        headers["Range"] = f"bytes={held}-"
        version = job.tag.read_text("utf-8") if job.tag.is_file() else ""
        headers |= {"If-Range": version} if version else {}
    return Request(job.url, headers=headers)  # noqa: S310 - the scheme was checked


def _opener() -> "OpenerDirector":
    """An opener for http and https alone, which never follows a redirect from https to http."""
    from urllib import request

    class NoDowngrade(request.HTTPRedirectHandler):
        def redirect_request(
            self,
            req: request.Request,
            fp: IO[bytes],
            code: int,
            msg: str,
            headers: Any,
            newurl: str,
        ) -> request.Request | None:
            allowed = ("https:",) if req.type == "https" else ("https:", "http:")
            if not newurl.lower().startswith(allowed):
                raise HilumError(
                    f"{req.full_url} must stay on {req.type}; got a redirect to {newurl!r}; "
                    "fetch the file another way."
                )
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.UnknownHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        NoDowngrade(),
        request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _http_fault(job: _Download, code: int, reason: str) -> Exception:
    if code == _OUT_OF_RANGE:
        job.part.unlink(missing_ok=True)  # longer than what the server has: begin again
    if code in _PASSING or code == _OUT_OF_RANGE:
        return _BrokenError(f"HTTP {code} {reason}")
    return MissingError(
        f"{job.url} must be fetched; got HTTP {code} {reason}; "
        f"fetch the file another way and put it at {job.target}."
    )


def _in_words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason) or type(error).__name__


def _start(job: _Download, response: http.client.HTTPResponse, held: int) -> int:
    """Where the body belongs in the file: `held`, or 0 where the server sends all of it."""
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    content_range = response.headers.get("Content-Range", "")
    if not content_range.startswith(f"bytes {held}-"):
        job.part.unlink(missing_ok=True)
        raise _BrokenError(f"bytes from {held} were requested, the server sent {content_range!r}")
    return held


def _version(response: http.client.HTTPResponse) -> str:
    """A strong ETag or the date: what If-Range may carry (RFC 9110, section 13.1.5)."""
    tag = str(response.headers.get("ETag", ""))
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))


def _require_within(job: _Download, size: int) -> None:
    if size > job.limits.bytes:
        job.part.unlink(missing_ok=True)
        raise HilumError(
            f"{job.url} must not be larger than {job.limits.bytes} bytes; "
            f"got {size} or more; check the address."
        )


def _copy(
    job: _Download, response: http.client.HTTPResponse, file: IO[bytes], span: tuple[int, int]
) -> int:
    got, total = span
    for chunk in _chunks(response):
        got += len(chunk)
        _require_within(job, got)
        file.write(chunk)
        if job.progress:
            job.progress(got, total)
    return got


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(_in_words(error)) from error
        if not chunk:
            return
        yield chunk


def _verify(job: _Download) -> None:
    synchronise(job.part)
    got = sha256_of(job.part)
    if job.sha256 not in (None, got):
        job.part.unlink()
        job.tag.unlink(missing_ok=True)
        raise HilumError(
            f"{job.url} must have SHA-256 {job.sha256}; got {got}; it was deleted. Try "
            "again; if the result is the same, the publisher has changed the file."
        )
