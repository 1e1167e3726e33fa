"""One digest of all that decides a model's answers, wherever it is named."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import deserialize

from hilum.inference import lazy_backbone, model_folder, ood
from hilum.inference.exported import KEY
from hilum.inference.model_json import read_metadata

DECIDING = (
    "classes", "preparation", "preparation_digest", "backbone", "precision", "quantised", "mirror",
    "temperature", "thresholds", "conformal",
)  # fmt: skip
OF_GRAPH = ("weights_digest", "precision", "abstention")


def model_digest(folder: Path) -> str:
    """SHA-256 of a model's tensors, classes, preparation and calibration: 64 hexadecimal digits.

    Over tensors, not files: safetensors may write the same tensors in another order. An exported
    folder has a digest of its own, over its graph's file and the digest of the model that it was
    made from. Raises HilumError where the tensors cannot be read.
    """
    record, total = read_metadata(folder), sha256()
    # what an earlier version did not write counts as what a later one writes for "none"
    for part in ({key: record.get(key) or None for key in DECIDING}, _of_graph(record)):
        _add(total, _canonical(part))
    with lazy_backbone.readable(folder):
        for name, kind, values in _tensors(folder):
            _add(total, _canonical([name, kind]))
            _add(total, values)
    return total.hexdigest()


def _tensors(folder: Path) -> Iterator[tuple[str, Any, bytes]]:
    """Each tensor's file and name, its type and shape, and its bytes, in the order of names."""
    for file in (lazy_backbone.TENSORS, model_folder.HEAD, ood.FILE):
        if (folder / file).is_file():
            rows = dict(deserialize((folder / file).read_bytes()))  # type: ignore[no-untyped-call]
            for name in sorted(rows):
                row = rows[name]
                yield f"{file}/{name}", [row["dtype"], row["shape"]], row["data"]


def _of_graph(record: dict[str, Any]) -> dict[str, Any]:
    """What decides the answers of an exported folder's graph; nothing of any other folder."""
    if KEY not in record:
        return {}
    part = record[KEY]
    start = f"{Path(part['graph']).stem}."
    graph = {name: digest for name, digest in part["files"].items() if name.startswith(start)}
    return {"graph": graph, **{key: part.get(key) for key in OF_GRAPH}}


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _add(total: Any, content: bytes) -> None:
    total.update(len(content).to_bytes(8, "big") + content)  # ("ab",) is not ("a", "b")
