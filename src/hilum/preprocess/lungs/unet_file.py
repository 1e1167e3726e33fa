"""What a file of lung weights says, read without torch: its facts and its digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from hilum import files
from hilum.types import HilumError, MissingError

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
FORMAT = 1
# what a damaged file, or another's, leads to
FAULTS = (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError)


@dataclass(frozen=True, slots=True)
class UnetConfig:
    """What a file of weights says about its network."""

    encoder: str = "tf_efficientnet_lite0"
    widths: tuple[int, ...] = (64, 64, 32, 16)  # channels, from the coarsest map to the finest
    side: int = 256  # pixels of the square input
    threshold: float = 0.5  # probability from which a pixel is lung, chosen on validation
    mirror: bool = True  # average each image with its mirror image
    provenance: dict[str, Any] = field(default_factory=dict)


def read_unet_config(path: Path) -> UnetConfig:
    """The facts in the header. Raises MissingError without the file, HilumError for another's."""
    if not path.is_file():
        raise MissingError(
            f"a lung network must be a .safetensors file; got {str(path)!r}, which does not exist; "
            "name the file lungs.safetensors of a run of the recipe `lungs`."
        )
    try:
        with safe_open(path, "np") as file:
            header = file.metadata() or {}
        record = json.loads(header["facts"])
        return UnetConfig(**{**record, "widths": tuple(record["widths"])})
    except FAULTS as error:
        raise unfit(path, error) from error


def unfit(path: Path, error: Exception) -> HilumError:
    """The sentence for a file that holds no lung network."""
    return HilumError(
        f"{path} must hold a lung network as hilum writes it; got {type(error).__name__}; "
        "name the file lungs.safetensors of a run of the recipe `lungs`."
    )


def unet_file_digest(path: Path) -> str:
    """`digest_of` what the file holds. Raises as `facts` does."""
    config = read_unet_config(path)
    try:
        return digest_of(load_file(path), config)
    except FAULTS as error:
        raise unfit(path, error) from error


def digest_of(arrays: Arrays, config: UnetConfig) -> str:
    """SHA-256 over the tensors as they are stored, and what decides the mask besides them."""
    total = hashlib.sha256()
    for name in sorted(name for name in arrays if "num_batches" not in name):
        stored = arrays[name].astype(np.float16).astype(np.float32) + np.float32(0)  # no -0.0
        total.update(f"{name} {stored.shape} torch.float32;".encode())
        total.update(np.ascontiguousarray(stored).data)
    return files.stable_digest(
        FORMAT, total.hexdigest(), config.side, config.threshold, config.mirror
    )
