"""Values of a header stay out of warnings and log records, and so out of files and terminals."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_within: ContextVar[bool] = ContextVar("within", default=False)


def _outside(_: logging.LogRecord) -> bool:
    return not _within.get()


logging.getLogger("pydicom").addFilter(_outside)


@contextmanager
def unquoted() -> Iterator[None]:
    """While it lasts pydicom and highdicom do not warn: they quote names, dates and identifiers.

    A decorator as well. What cannot be used is not copied, whether or not somebody warns of it.
    """
    before = _within.set(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"(pydicom|highdicom)\.")
            yield
    finally:
        _within.reset(before)
