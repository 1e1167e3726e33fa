"""Results to an archive by STOW-RS (DICOM PS3.18 10.5).

https://dicom.nema.org/medical/dicom/current/output/chtml/part18/sect_10.5.html
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

from hilum.node.outcome import More, Outcome, by_status
from hilum.node.queue_tables import Result
from hilum.types import HilumError

PATIENCE = 30.0  # seconds for an answer
FAILED, REFERENCED = "00081198", "00081199"  # Failed and Referenced SOP Sequence
FAILURE, WARNING = "00081197", "00081196"  # Failure Reason, Warning Reason
LASTING = range(400, 500)  # HTTP statuses that will be the same next time


def stow_url(text: str) -> str:
    """A checked address of a studies resource; HilumError for another."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HilumError(
            f"--stow must be the address of an archive's studies; got {text!r}; write for "
            "instance http://127.0.0.1:8042/dicom-web/studies."
        )
    return text


@dataclass(frozen=True, slots=True)
class StowSender:
    """Sends by STOW-RS, one object a request, so that each has its own answer."""

    url: str
    patience: float = PATIENCE

    def send(self, results: Sequence[Result], more: More) -> Iterator[tuple[Result, Outcome]]:
        """See `outcome.Sender`; each request is a connection of its own, so none waits for more."""
        for result in results:
            yield result, self._one(result)

    def ask(self, transaction: str, results: Sequence[Result]) -> bool:
        """See `outcome.Sender`: storage commitment belongs to C-STORE."""
        return False

    def _one(self, result: Result) -> Outcome:
        mark = uuid4().hex
        head = f"--{mark}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + result.path.read_bytes() + f"\r\n--{mark}--\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={mark}',
            "Accept": "application/dicom+json",
        }
        request = Request(self.url, body, headers, method="POST")  # noqa: S310 - http(s), checked
        try:
            with urlopen(request, timeout=self.patience) as answer:  # noqa: S310
                return outcome_of(answer.read())
        except HTTPError as error:
            return _outcome_of_error(error)
        except (URLError, OSError):
            raise ConnectionError("the archive cannot be reached, or gives no answer") from None


def _outcome_of_error(error: HTTPError) -> Outcome:
    """The outcome of an HTTP status that is not success: 409 says why in its body."""
    if error.code == HTTPStatus.CONFLICT:
        found = outcome_of(error.read())
        if found.kind != "sent":
            return found
    lasting = error.code in LASTING and error.code != HTTPStatus.TOO_MANY_REQUESTS
    return Outcome("refused" if lasting else "later", f"the archive answered HTTP {error.code}")


def outcome_of(body: bytes) -> Outcome:
    """The outcome of one object in a store response, as DICOM JSON (PS3.18 annex F and I)."""
    try:
        response = json.loads(body)
        if failed := _items(response, FAILED):
            return by_status(_number(failed[0], FAILURE) or 0xC000)  # a failure without a reason
        stored = _items(response, REFERENCED)
        return by_status(_number(stored[0], WARNING)) if stored else _unclear()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return _unclear()


def _unclear() -> Outcome:
    return Outcome("refused", "the archive did not say that it stored the object")


def _items(response: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return list(response.get(tag, {}).get("Value", []))


def _number(item: dict[str, Any], tag: str) -> int:
    values = item.get(tag, {}).get("Value") or [0]
    return int(values[0])
