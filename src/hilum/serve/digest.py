"""One hash of all that decides a model's answers."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from hilum import files
from hilum.inference.model_json import read_metadata

KEYS = (
    "classes", "preparation", "preparation_digest", "backbone", "precision", "quantised", "mirror",
    "temperature", "thresholds", "conformal", "exported",
)  # fmt: skip


def model_digest(folder: Path) -> str:
    """Hash of a model folder's tensors and of the numbers of `model.json` that decide an answer.

    Over tensors, not files: safetensors may write the same tensors in another order.
    """
    record = read_metadata(folder)
    parts: list[object] = [{key: record.get(key) for key in KEYS}]
    for path in sorted(folder.glob("*.safetensors")):
        for name, array in sorted(load_file(path).items()):
            parts += [[path.name, name, str(array.dtype), array.shape]]
            parts += [np.ascontiguousarray(array).tobytes()]
    return files.stable_digest(*parts)
