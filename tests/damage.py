"""Damaged copies of files, and what may become of them."""

import random
from collections.abc import Iterator
from typing import Any

from hilum.types import HilumError


def flipped(content: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` copies of a file with one byte changed, cut off or written twice."""
    chance = random.Random(seed)
    for number in range(count):
        at = chance.randrange(len(content))
        rest = (bytes([chance.randrange(256)]) + content[at + 1 :], b"", content[at - 1 :])
        yield content[:at] + rest[number % 3]


def read_or_refused(read: Any, *args: Any) -> bool:
    """Whether it was refused; anything but HilumError fails the test."""
    try:
        read(*args)
    except HilumError as error:
        said = str(error)
    else:
        return False
    assert "\n" not in said.strip()
    return True
