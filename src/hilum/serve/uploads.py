"""The films of a request, held in memory and nowhere else."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from hilum.serve.limits import MEBI, ServerLimits
from hilum.serve.problems import ProblemError

MULTIPART = "multipart/form-data"
RAW = (
    "application/dicom", "application/octet-stream", "image/jpeg", "image/png", "image/tiff",
)  # fmt: skip
PLAIN = "identity"  # RFC 9110: not encoded
FIELD = "films"  # of a multipart body, in the documents; any name is taken


@dataclass(frozen=True, slots=True)
class Upload:
    """One film as it came: the client's name for it, which goes nowhere but back, and bytes."""

    name: str
    data: bytes


class _InMemory(MultiPartParser):
    """Starlette's parser, which would write parts above a mebibyte to a temporary file.

    It also takes a body that ends in the middle of a film, whose films would be fewer than sent.
    """

    spool_max_size = sys.maxsize
    ended = False  # whether the closing boundary has come

    def on_end(self) -> None:
        """Called at the closing boundary."""
        self.ended = True

    def close(self) -> None:
        """Let go of every film, also of one that has no end and is in no form."""
        for file in self._files_to_close_on_error:
            file.close()


def declared_size(request: Request, limits: ServerLimits) -> int:
    """Bytes that a request says it has, or may have; ProblemError for more than one may."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else limits.body
    if size > limits.body:
        raise _too_large(limits)
    return size


async def read(request: Request, limits: ServerLimits) -> list[Upload]:
    """The films of a multipart body, or the one that is the body; ProblemError for none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MULTIPART and kind not in RAW:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"expected {MULTIPART}, or one film as {', '.join(RAW)}; got another Content-Type; "
            "send one of these.",
        )
    if request.headers.get("content-encoding", PLAIN).strip().lower() != PLAIN:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "expected a body as it is; got one with a Content-Encoding; send the films' own bytes.",
            {"Accept-Encoding": PLAIN},
        )
    body = await _body(request, limits)
    films = await _parts(request, body, limits) if kind == MULTIPART else [Upload("", body)]
    films = [film for film in films if film.data or film.name]  # a form's empty field has neither
    if not films:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "expected at least one film; got none; send its bytes."
        )
    return films


async def _body(request: Request, limits: ServerLimits) -> bytes:
    """All bytes of a request, within its bounds of size and time."""
    body, stream = bytearray(), request.stream()
    try:
        async with asyncio.timeout(limits.upload_seconds):
            while True:
                async with asyncio.timeout(limits.idle_seconds):
                    body += await anext(stream)
                if len(body) > limits.body:
                    raise _too_large(limits)
    except StopAsyncIteration:
        return bytes(body)
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"expected a whole request within {limits.upload_seconds:g} s and no pause longer than "
            f"{limits.idle_seconds:g} s; got a slower one; send fewer films at a time.",
            {"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "expected a whole request; got a part of one; send it again."
        ) from None


def _too_large(limits: ServerLimits) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"expected at most {limits.body / MEBI:g} MiB in a request; got more; send fewer films at "
        "a time.",
        {"Connection": "close"},
    )


async def _parts(request: Request, body: bytes, limits: ServerLimits) -> list[Upload]:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(request.headers, whole(), max_files=limits.parts, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise _form_problem(error.message, limits) from None
    except UnicodeError:  # a charset that decodes nothing
        raise _form_problem("", limits) from None
    if not parser.ended:
        parser.close()
        raise _form_problem("", limits)
    files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
    films = [Upload(part.filename or "", await part.read()) for part in files]
    await form.close()
    return films


def _form_problem(message: str, limits: ServerLimits) -> ProblemError:
    """Starlette's complaint in our words; its own could quote a field."""
    if message.startswith("Too many files"):
        return ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"expected at most {limits.parts} films in a request; got more; send the others in "
            "another.",
        )
    if message.startswith("Too many fields"):
        return ProblemError(
            HTTPStatus.BAD_REQUEST,
            "expected only films in a multipart body; got a part without filename=; name every "
            "film's file, and put options such as heatmap=true into the query.",
        )
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "expected a multipart body as RFC 7578 describes; got a damaged one; send it again.",
    )
