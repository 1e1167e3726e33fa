"""What libraries say when the system gives them no more memory: one sentence in its place."""

import atexit
import sys

SAID = (
    "can't alloc",  # OpenVINO
    "bad_alloc",
    "bad allocation",
    "failed to map segment",  # the dynamic linker: a library is not loaded
    "cannot allocate memory",
    "can't start new thread",  # Python: a thread needs room for its stack
    "thread creation failed",
    "resource temporarily unavailable",  # the same of C++, within OpenVINO
    "not enough memory",  # torch
    "insufficient memory",  # OpenCV
    "could not create a primitive",  # oneDNN, within torch
    # Python, where a function in C has not even the memory to say so
    "error return without exception set",
    "returned null without setting an exception",
)


def sentence(error: Exception) -> str:
    """What to end with, or "" for an error that is of something else; libraries are silent then."""
    said = str(error).lower()
    found = next((words for words in SAID if words in said), None)
    if isinstance(error, MemoryError):
        found = found or "no more memory"
    if found is None:
        return ""
    atexit.register(_be_silent)
    return (
        f"hilum needs more memory than the system gives it; got {found!r}; end other programs, use "
        "fewer --workers or --threads, or raise the limit."
    )


def _be_silent() -> None:
    """Drop the tracebacks of what libraries do at exit: it fails for the same reason."""
    sys.unraisablehook = lambda _: None
