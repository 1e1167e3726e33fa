"""The forms of a graph that an export tries, one after another, until one is proven."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from hilum.exporting import bf16, onnx_file, openvino_file, quantise
from hilum.exporting.graph import ExportGraph
from hilum.exporting.proof_images import LEAST, ProofImages
from hilum.inference.ood import evenly_spaced

Write: TypeAlias = Callable[[Path, Mapping[str, Any]], Path]  # the graph's path, its record


@dataclass(frozen=True, slots=True)
class Variant:
    """How to write one form, the images that may prove it, and what its record says of it."""

    write: Write
    proven_on: Sequence[int]
    facts: dict[str, Any] = field(default_factory=dict)


def of(graph: ExportGraph, wanted: str, precision: str, shown: ProofImages) -> Iterator[Variant]:
    """Every form to try for a format and a precision, the smallest first."""
    proto = onnx_file.made(graph, shown.shape)
    write = _as_onnx if wanted == "onnx" else _as_openvino
    everything = range(len(shown.films))
    if precision == "fp32":
        yield Variant(write(proto), everything)
    elif precision == "bf16":
        yield Variant(write(bf16.halved(proto)), everything)
    else:
        yield from _in_int8(proto, write, shown)


def _in_int8(proto: Any, write: Callable[[Any], Write], shown: ProofImages) -> Iterator[Variant]:
    """More and more of the first layers in full precision; proven on images not calibrated on.

    Where too few would be left for a proof, it is made on all, and says so.
    """
    count = len(shown.films)
    chosen = evenly_spaced(count, quantise.CALIBRATED).tolist()
    others = sorted(set(range(count)) - set(chosen))
    apart = len(others) >= LEAST
    images, names = shown.part(chosen).stack, quantise.layers(proto)
    for share in quantise.SHARES:
        kept = names[: round(share * len(names))]
        facts = {
            "layers": len(names),
            "layers_in_fp32": len(kept),
            "calibrated_on": len(chosen),
            "proven_on_other_images": apart,
        }
        made = quantise.quantised(proto, images, kept)
        yield Variant(write(made), others if apart else range(count), facts)


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
