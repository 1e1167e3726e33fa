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
FIELD = "films"  # of a multipart body, in the documents; any name is taken


@dataclass(frozen=True, slots=True)
class Upload:
    """One film as it came: the client's name for it, which goes nowhere but back, and bytes."""

    name: str
    data: bytes


class _InMemory(MultiPartParser):
    """Starlette's parser, which would write parts above a mebibyte to a temporary file."""

    spool_max_size = sys.maxsize


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
            "expected films alone in a multipart body; got a field that is no file; options such "
            "as heatmap=true go into the query.",
        )
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "expected a multipart body as RFC 7578 describes; got a damaged one; send it again.",
    )
