"""The forms of a graph that an export tries, one after another, until one is proven."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from hilum.exporting import onnx_file, openvino_file
from hilum.exporting.graph import ExportGraph
from hilum.exporting.proof_images import ProofImages

Write: TypeAlias = Callable[[Path, Mapping[str, Any]], Path]  # the graph's path, its record


@dataclass(frozen=True, slots=True)
class Variant:
    """How to write one form, the images that may prove it, and what its record says of it."""

    write: Write
    proven_on: Sequence[int]
    facts: dict[str, Any] = field(default_factory=dict)


def of(graph: ExportGraph, wanted: str, precision: str, shown: ProofImages) -> Iterator[Variant]:
    """Every form to try for a format and a precision."""
    proto = onnx_file.made(graph, shown.stack.shape[1:])
    everything = range(len(shown.films))
    yield Variant(_as_onnx(proto) if wanted == "onnx" else _as_openvino(proto), everything)


def _as_onnx(proto: Any) -> Write:
    def write(path: Path, record: Mapping[str, Any]) -> Path:
        onnx_file.describe(proto, record)
        return onnx_file.write(proto, path)

    return write


def _as_openvino(proto: Any) -> Write:
    def write(path: Path, record: Mapping[str, Any]) -> Path:
        source = onnx_file.write(proto, path.with_name("source.onnx"))
        try:
            return openvino_file.write(openvino_file.made(source), record, path)
        finally:
            source.unlink()

    return write
