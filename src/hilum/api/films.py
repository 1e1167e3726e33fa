"""What may be given as a film, and as many films."""

from collections.abc import Iterable, Mapping, Set
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import numpy as np

from hilum.types import GreyImage, HilumError, given_path

Source: TypeAlias = str | Path | bytes | GreyImage  # a file, its bytes, or grey (height, width)


def one_film(source: object) -> Source:
    """The film as it is read, path or bytes or array; HilumError for anything else."""
    if isinstance(source, bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | Path) and given_path(source):
        return source
    if isinstance(source, PathLike):
        return given_path(source)
    if isinstance(source, bytes | np.ndarray):
        return source
    raise HilumError(
        "a film is a file's path, its bytes, or grey pixels (height, width); got "
        f"{type(source).__name__}; give one of these, or a list of them."
    )


def several(source: object) -> Iterable[object] | None:
    """Films of a list or the like; None for one film, and for what has no order."""
    if isinstance(source, str | PathLike | bytes | bytearray | memoryview | np.ndarray):
        return None
    return (
        source if isinstance(source, Iterable) and not isinstance(source, Mapping | Set) else None
    )
