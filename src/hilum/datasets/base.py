"""What every reader of a published layout is: a name, a test and a function."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hilum.types import Manifest


@dataclass(frozen=True, slots=True)
class Reader:
    """One published layout: `recognises` looks at names and headers only, `read` never decodes."""

    name: str  # of the dataset's card
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Manifest]
