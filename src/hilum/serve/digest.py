"""One hash of all that decides a model's answers."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from hilum import files
from hilum.inference.model_json import read_metadata

KEYS = (
    "classes", "preparation", "preparation_digest", "backbone", "precision", "mirror",
    "temperature", "thresholds", "conformal",
)  # fmt: skip


def model_digest(folder: Path) -> str:
    """SHA-256 over tensors and the numbers of `model.json` that decide an answer.

    Over tensors, not files: safetensors may write the same tensors in another order.
    """
    record = read_metadata(folder)
    tensors = []
    for path in sorted(folder.glob("*.safetensors")):
        for name, array in sorted(load_file(path).items()):
            data = np.ascontiguousarray(array)
            tensors.append((path.name, name, str(data.dtype), data.shape, data.tobytes().hex()))
    return files.stable_digest({key: record.get(key) for key in KEYS}, tensors)
