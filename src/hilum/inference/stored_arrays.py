"""Arrays of a model folder in a file of their own, whose digest `model.json` keeps."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hilum import files
from hilum.types import HilumError

Arrays: TypeAlias = dict[str, npt.NDArray[np.generic]]


class Digested(Protocol):
    """What can tell the digest of what it stores."""

    @property
    def digest(self) -> str:
        """SHA-256 of what is stored."""


T = TypeVar("T", bound=Digested)


def digest_of(arrays: Arrays, names: Sequence[str]) -> str:
    """SHA-256 of arrays in their order, and of names that belong to them."""
    content = [f"{key}\n".encode() + value.tobytes() for key, value in arrays.items()]
    return hashlib.sha256(b"".join([*content, "\n".join(names).encode()])).hexdigest()


def save_arrays(arrays: Arrays, file: Path) -> None:
    """Write them as safetensors; `file` is the old one or the new one, never half of it."""
    with files.atomic_write(file) as path:
        save_file(arrays, path)


def load_unchanged(
    file: Path, build: Callable[[dict[str, Any]], T], record: Mapping[str, Any], remedy: str
) -> T:
    """What `build` makes of a file's arrays; HilumError unless it has the digest of `record`.

    `remedy` says what else helps where the file is another one.
    """
    try:
        built = build(load_file(file))
        same = built.digest == record["sha256"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HilumError(f"{file} must be readable; got {error}; restore the folder.") from None
    if not same:
        raise HilumError(
            f"{file} must be the file that training wrote; got another; restore the folder, or "
            f"{remedy}."
        )
    return built
