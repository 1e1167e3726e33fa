"""Writes that a disk refuses somewhere below: the sentence names the path, whatever wrote there."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from hilum.files.disk import fault_number, write_error
from hilum.types import HilumError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # errors of writing alone


@contextmanager
def naming_path(folder: Path) -> Iterator[None]:
    """Raise HilumError with the file, or `folder`, where the block ends because a disk is full.

    Libraries that write for us (safetensors, OpenVINO, Arrow) name no file, and some raise errors
    of their own.
    """
    try:
        yield
    except HilumError:
        raise
    except (OSError, RuntimeError, SafetensorError) as error:
        number = _fault(error)
        if number is None:
            raise
        named = getattr(error, "filename", None)
        path = Path(os.fsdecode(named)) if isinstance(named, (str, bytes)) else folder
        raise write_error(path, OSError(number, os.strerror(number))) from error


def _fault(error: Exception) -> int | None:
    """The error number of a write that a disk refused; None for any other error."""
    number = fault_number(error) if isinstance(error, OSError) else None
    if number in FULL:
        return number
    said = str(error)
    return next((code for code in FULL if os.strerror(code) in said), None)
