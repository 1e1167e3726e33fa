"""An exported folder read as a model: its graph answers, nothing of torch is needed.

The graph hands out probabilities, refusal distance and poses; here they become one row per image,
which a head of ones and zeros and a gate without training images read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hilum import files
from hilum.inference import model_folder, model_json, new_source, training_record
from hilum.inference.lazy_backbone import LazyBackbone
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.inference.model_folder import BUILT_ON
from hilum.inference.ood import Array, Gate
from hilum.inference.training_record import BuiltOn
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.runtime import compiling
from hilum.models.runtime.base import Runtime, Target
from hilum.preprocess import Pipeline
from hilum.preprocess.lungs import carried
from hilum.types import Floats, HilumError

if TYPE_CHECKING:
    import openvino as ov

KEY = "exported"  # of `model.json`: what an exported folder says of its graph
RECORD, JUDGED = "record", "judged"  # there: its own hash; of `model.json`: the verdict
HEAT = "heat"  # the graph's output with Grad-CAM, where it has one
REMOVABLE = (training_record.PATIENTS, training_record.FILMS)
POSES = 5  # upright, and the rows of ood.POSES
SLACK = 1e-6  # by which bounds are lowered: float32 rounds, and a bound is a probability once seen
# bf16 is computed in where hilum would do so unasked: depthwise convolutions lose too much by it
WANTED: dict[str, Literal["auto", "fp32", "int8"]] = {
    "fp32": "fp32",
    "bf16": "auto",
    "int8": "int8",
}
LEAST = float(np.finfo(np.float32).tiny)  # probability whose logarithm is still finite


@dataclass(frozen=True, slots=True)
class GraphGate(Gate):
    """Rows (image, class + 1 + pose) of logarithms, distance and poses, as a graph gives them."""

    classes: int

    def distances(self, features: Floats) -> Array:
        """(image, row) -> refusal distance (image,)."""
        return np.asarray(features[:, self.classes], np.float64)

    def poses(self, features: Floats) -> Array:
        """(image, row) -> probabilities (image, pose)."""
        return np.asarray(features[:, self.classes + 1 :], np.float64)


def is_exported(folder: Path) -> bool:
    """Whether a folder is an export's; raises as `read_metadata` does."""
    return KEY in model_json.read_metadata(folder)


def load(folder: Path) -> TrainedModel:
    """A model folder or an exported one, compiled; raises what `load_trained_model` does.

    HilumError as well where a file of an export is not the one that was proven.
    """
    if not is_exported(folder):
        return model_folder.load_trained_model(folder)
    compiling.require_cpu("an exported model")
    with model_json.well_formed(folder):
        parts = _read(folder)
    gated = parts.gate is not None
    return TrainedModel(
        parts.facts,
        parts.pipeline,
        parts.held,
        reader(len(parts.facts.classes), gated),
        compiled(parts.graph, parts.pipeline, parts.precision, gated),
        parts.gate,
        parts.built_on,
        new_source.EXPORTED,
        parts.graph,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an exported folder holds, nothing compiled."""

    facts: ModelMetadata
    pipeline: Pipeline
    held: LazyBackbone
    gate: GraphGate | None
    built_on: BuiltOn | None
    graph: Path
    precision: str


def _read(folder: Path) -> _Parts:
    record = model_json.read_metadata(folder)
    part = record[KEY]
    if part.get(RECORD, digest_of_record(record)) != digest_of_record(record):
        raise _changed(model_json.FILE, folder, "another")
    if part["precision"] not in WANTED:
        raise ValueError(f"precision {part['precision']!r}")
    graph = part["graph"]
    require_unchanged(folder, {graph: part["files"][graph], **part["files"]})  # listed, or KeyError
    carried.adopt(folder, part.get("lungs", ""))
    facts = replace(
        model_folder.metadata_of(record, folder),
        mirror=False,  # the graph has done both
        temperature=1.0,
        conformal=part["abstention"]["possible_from"],
    )
    return _Parts(
        facts,
        model_folder.pipeline_of(record, folder),
        LazyBackbone(folder, record["backbone"]),
        gate_of(part["abstention"], len(facts.classes)),
        training_record.load_record(folder, record.get(BUILT_ON)),
        folder / graph,
        part["precision"],
    )


def digest_of_record(record: Mapping[str, Any]) -> str:
    """Hash of all that an export's `model.json` holds but the verdict, which an audit replaces."""
    part = {key: value for key, value in record[KEY].items() if key != RECORD}
    rest = {key: value for key, value in record.items() if key not in (KEY, JUDGED)}
    return files.stable_digest(rest, part)


def require_unchanged(folder: Path, digests: dict[str, str]) -> None:
    """Raise HilumError unless every file of an export is there with the SHA-256 it was given.

    What tells of patients may be taken away before a model is passed on.
    """
    for name, digest in digests.items():
        try:
            actual = files.sha256(folder / name)
        except OSError:
            actual = ""
        if actual != digest and (actual or name not in REMOVABLE):
            raise _changed(name, folder, "another" if actual else "none")


def _changed(name: str, folder: Path, got: str) -> HilumError:
    return HilumError(
        f"{name} of the exported folder {str(folder)!r} must be the file that "
        f"was tested at export; got {got}; export the model again."
    )


def lowered(bounds: Mapping[str, float]) -> dict[str, float]:
    """Conformal bounds (class -> least probability) as a graph has them: sets may only grow."""
    return {name: bound - SLACK for name, bound in bounds.items()}


def gate_of(limits: dict[str, Any], classes: int) -> GraphGate | None:
    """The gate of a record's `abstention`, see `exporting.record`; None where there is none."""
    if "distance_above" not in limits:
        return None
    return GraphGate(
        classes,
        ordinary=limits["lungs_asked_above"],
        far=limits["distance_above"],
        turned=limits["pose_above"],
        lungs=limits["lungs_asked"],
    )


def reader(classes: int, gated: bool) -> NumpyHead:
    """What takes the logarithms of probabilities (image, class) from a graph's rows."""
    width = classes + (1 + POSES if gated else 0)
    return NumpyHead(Standardise.none(width), ((np.eye(classes, width), np.zeros(classes)),))


def compiled(graph: Path, pipeline: Pipeline, precision: str, gated: bool) -> Runtime:
    """A graph's file as a runtime: prepared (image, height, width) -> rows, see `GraphGate`.

    Raises HilumError where OpenVINO cannot compute here.
    """
    compiling.openvino_computes(Target(device="cpu", engine="openvino"))
    from hilum.models.runtime.openvino import OpenVinoRuntime

    rows = in_rows(graph, pipeline.shape, gated)
    return OpenVinoRuntime(rows, pipeline.shape, WANTED[precision])


def compiled_heat(graph: Path, pipeline: Pipeline) -> tuple[Runtime, tuple[int, ...]]:
    """The same to evidence, flattened: also its shape (class, row, column).

    In full precision, as heat maps are. Raises HilumError for a graph without the output.
    """
    compiling.openvino_computes(Target(device="cpu", engine="openvino"))
    import openvino as ov
    from openvino import opset13 as ops

    from hilum.models.runtime.openvino import OpenVinoRuntime

    model, pixels = _with_pixels(graph, pipeline.shape)
    if HEAT not in {name for output in model.outputs for name in output.names}:
        raise HilumError(
            "a heat map of an exported model needs a graph with the output heat; got one without, "
            "as its notes in preparation.json explain; name the model folder that it was made from."
        )
    heat = _output(model, HEAT)
    shape = tuple(heat.get_shape())[1:]
    row = ops.reshape(heat, ops.constant(np.array([1, -1])), special_zero=False)
    network = ov.Model([row], [pixels], HEAT)
    return OpenVinoRuntime(network, pipeline.shape, "fp32"), shape


def in_rows(graph: Path, shape: tuple[int, int], gated: bool) -> "ov.Model":
    """uint8 (1, 1, height, width) -> float (1, row); what no row holds is not computed."""
    import openvino as ov
    from openvino import opset13 as ops

    model, pixels = _with_pixels(graph, shape)
    p = _output(model, "probabilities")
    parts = [ops.log(ops.maximum(p, ops.constant(np.float32(LEAST))))]
    if gated:
        distance = ops.unsqueeze(_output(model, "distance"), ops.constant([1]))
        parts += [distance, _output(model, "poses")]
    return ov.Model([ops.concat(parts, 1)], [pixels], "rows")


def _with_pixels(graph: Path, shape: tuple[int, int]) -> tuple["ov.Model", Any]:
    """A graph that takes uint8 (1, 1, height, width), and that input."""
    import openvino as ov
    from openvino import opset13 as ops

    # read, then compiled: compile_model(path) with a cache would answer with earlier weights
    model = ov.Core().read_model(graph)
    model.reshape([1, *shape])
    pixels = ops.parameter([1, 1, *shape], np.uint8)
    inner = model.get_parameters()[0]
    inner.output(0).replace(ops.squeeze(pixels, ops.constant([1])).output(0))
    return model, pixels


def _output(model: "ov.Model", name: str) -> Any:
    """What feeds an output, by the output's name."""
    return model.output(name).get_node().input_value(0)
