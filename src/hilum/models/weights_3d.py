"""Weights of a network of volumes, for the same network of single slices.

A volume that does not change along its depth is seen by a 3-D kernel as a slice is seen by the
kernel's sum over depth: the 2-D network answers a slice as the 3-D one answers that volume, away
from its ends. (The reverse of inflating: Carreira & Zisserman 2017, arXiv:1705.07750, section 2.4.)
"""

import hashlib
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from hilum.models import checkpoints
from hilum.models.cards import BackboneCard
from hilum.models.checkpoints import State
from hilum.types import HilumError

FILE = "part.bin"  # of each package that carries a part of a file


def find_parts(card: BackboneCard) -> list[Path]:
    """The files that make up a card's weights; none where a package is not installed.

    Nothing of the packages is run.
    """
    found = [find_spec(name) for name in card.parts]
    paths = [Path(spec.origin).parent / FILE for spec in found if spec and spec.origin]
    complete = len(paths) == len(card.parts) and all(path.is_file() for path in paths)
    return paths if complete else []


def read_parts(card: BackboneCard, paths: Sequence[Path]) -> State:
    """The tensors of a file that lies in parts, checked against the card's SHA-256.

    Raises HilumError where it is another file.
    """
    content = b"".join(path.read_bytes() for path in paths)
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.digest:
        raise HilumError(
            f"weights of {card.name} must have the SHA-256 {card.digest[:16]}...; got "
            f"{digest[:16]}... in {paths[0].parent.parent}; install {card.package} again."
        )
    return checkpoints.read_torch(paths[0], io.BytesIO(content))


def collapse(state: State) -> State:
    """Kernels (output, input, depth, row, column) summed over depth; the rest as it is."""
    return {
        name: tensor.float().sum(2) if tensor.ndim == 5 else tensor
        for name, tensor in state.items()
    }
