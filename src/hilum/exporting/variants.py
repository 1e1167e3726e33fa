"""The forms of a graph that an export tries, one after another, until one is proven."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from hilum.exporting import bf16, onnx_file, openvino_file, quantise
from hilum.exporting.graph import ExportGraph
from hilum.exporting.proof_images import LEAST, ProofImages
from hilum.inference.ood import evenly_spaced
from hilum.progress import Progress

Write: TypeAlias = Callable[[Path, Mapping[str, Any]], Path]  # the graph's path, its record


@dataclass(frozen=True, slots=True)
class Variant:
    """How to write one form, the images that may prove it, and what its record says of it."""

    write: Write
    proven_on: Sequence[int]
    facts: dict[str, Any] = field(default_factory=dict)
    followed_by: int = 0  # forms to try where this one is not proven


def of(
    graph: ExportGraph, request: tuple[str, str], shown: ProofImages, progress: Progress
) -> Iterator[Variant]:
    """Every form to try for a request (format, precision), the smallest first."""
    format_, precision = request
    proto = onnx_file.to_onnx(graph, shown.shape)
    write = _as_onnx if format_ == "onnx" else _as_openvino
    everything = range(len(shown.films))
    if precision == "fp32":
        yield Variant(write(proto), everything)
    elif precision == "bf16":
        yield Variant(write(bf16.round_weights(proto)), everything)
    else:
        yield from _in_int8(proto, write, shown, progress)


def _in_int8(
    proto: Any, write: Callable[[Any], Write], shown: ProofImages, progress: Progress
) -> Iterator[Variant]:
    """More and more of the first layers in full precision; proven on images not calibrated on.

    Where too few would be left for a proof, it is made on all, and says so.
    """
    count = len(shown.films)
    chosen = evenly_spaced(count, quantise.CALIBRATED).tolist()
    others = sorted(set(range(count)) - set(chosen))
    apart = len(others) >= LEAST
    layers = quantise.layers(proto)
    every_layer = quantise.quantise(proto, shown.part(chosen).stack, progress("calibrate int8"))
    for number, share in enumerate(quantise.SHARES, 1):
        kept = round(share * len(layers))
        facts = {
            "layers": len(layers),
            "layers_in_fp32": kept,
            "calibrated_on": len(chosen),
            "proven_on_other_images": apart,
        }
        form = (
            quantise.with_first_layers(every_layer, proto, layers[kept - 1])
            if kept
            else every_layer
        )
        followed_by = len(quantise.SHARES) - number
        yield Variant(write(form), others if apart else range(count), facts, followed_by)


def _as_onnx(proto: Any) -> Write:
    def write(path: Path, record: Mapping[str, Any]) -> Path:
        onnx_file.describe(proto, record)
        return onnx_file.write(proto, path)

    return write


def _as_openvino(proto: Any) -> Write:
    def write(path: Path, record: Mapping[str, Any]) -> Path:
        source = onnx_file.write(proto, path.with_name("source.onnx"))
        try:
            return openvino_file.write(openvino_file.to_openvino(source), record, path)
        finally:
            source.unlink()

    return write
