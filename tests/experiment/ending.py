"""The task of a process that ends in it: apart from others, whose imports take seconds."""

import os
import signal
from pathlib import Path

from hilum.progress import Progress


def end_at_first(mark: Path, progress: Progress) -> str:
    """The next process is let through."""
    if not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"
