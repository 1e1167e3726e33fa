"""Reads weights in .h5, in a process of its own: `-m hilum.models.h5_worker PATH BYTES SECONDS`.

On standard output a line of JSON for each weight, and its float32 behind it; at the end a line with
the network's description, or with what is wrong.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hilum.files import bounds

MEMORY = 4 << 30  # bytes that it may take beyond what it starts with

# what a damaged file makes of a reader of names, shapes and JSON; h5py raises RuntimeError
DAMAGE = (
    OSError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError,
    RuntimeError, MemoryError,
)  # fmt: skip


def write(path: str, most: int, answers: IO[bytes]) -> None:
    """All weights of a file, of `most` bytes together, then how it ended."""
    import h5py  # an extra

    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)  # a whole model, or weights alone
            for place, name in _datasets(group):
                most -= 4 * int(group[place].size)
                values = _values(group[place], most)
                _say(answers, {"name": name, "shape": values.shape})
                answers.write(values.data)
            config = file.attrs.get("model_config")
            description = json.loads(config) if config else None
    except DAMAGE as error:
        _say(answers, {"error": " ".join(str(error).split()) or type(error).__name__})
    else:
        _say(answers, {"description": description})


def _say(answers: IO[bytes], line: dict[str, Any]) -> None:
    answers.write(json.dumps(line).encode() + b"\n")


def _values(dataset: Any, left: int) -> npt.NDArray[np.float32]:
    """An array; ValueError where its header promises more than a file of weights has."""
    if left < 0:
        raise ValueError(f"an array of {dataset.size:,} numbers")
    return np.asarray(dataset, "<f4", order="C")


def _datasets(group: Any) -> Iterator[tuple[str, str]]:
    """(place in the file, weight's own name) of every array, in the network's order."""
    for layer in _texts(group.attrs, "layer_names"):
        for name in _texts(group[layer].attrs, "weight_names"):
            yield f"{layer}/{name}", name


def _texts(attributes: Any, key: str) -> list[str]:
    """A list of names; Keras splits one that is too long for HDF5 into key0, key1, ..."""
    if key in attributes:
        pieces = [attributes[key]]
    else:
        pieces = []
        while f"{key}{len(pieces)}" in attributes:
            pieces.append(attributes[f"{key}{len(pieces)}"])
    names = [name for piece in pieces for name in piece]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def main() -> None:
    """Read the file that the command line names."""
    path, most, seconds = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # prints of libraries stay out of the answers
        bounds.bound_memory(MEMORY)
        bounds.bound_processor(float(seconds))
        write(path, int(most), answers)


if __name__ == "__main__":
    main()
