"""What is not in the graph and travels as data: `preparation.json` and the graph's metadata."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import hilum
from hilum.exporting import packages
from hilum.exporting.graph import INPUT, OUTPUTS, ExportGraph
from hilum.inference import model_json, ood
from hilum.inference.cautions import verdict_line
from hilum.inference.digest import model_digest
from hilum.inference.exported import lowered
from hilum.inference.model import TrainedModel
from hilum.inference.ood import Gate
from hilum.types import NOTICE

FORMAT = 1
FILE, MARK = "preparation.json", b'"hilum"'  # and a key near its beginning
OPSET = 18  # the exporter's own; ONNX Runtime reads it since 1.14, OpenVINO since 2023.1
DECODING = (
    "grey, upright, 8 bits where the file has 8, else floats from 0 to 1; a JPEG may be decoded at "
    "1/8, 1/4 or 1/2 of its size where its shorter side stays at or above decode_side"
)
RULE = (
    "Refuse where distance > distance_above, or where the largest of poses but the first > "
    "pose_above; abstain where more than one class is possible; else the answer is the class of "
    "the largest probability. Before the graph, refuse a film whose shorter side, spread of grey "
    "levels or colour is outside of `film`."
)
AUDIT_KEYS = ("id", "title", "status", "value", "rule", "sentence")


def of(
    model: TrainedModel, folder: Path, graph: ExportGraph, graph_format: str, precision: str
) -> dict[str, Any]:
    """All that a consumer must know of a model that was read from `folder`."""
    facts, pipeline = model.facts, model.pipeline
    return {
        "format": FORMAT,
        "notice": NOTICE,
        "hilum": hilum.__version__,
        "graph": packages.GRAPHS[graph_format],
        "graph_format": graph_format,
        "precision": precision,
        **({"opset": OPSET} if graph_format == "onnx" else {}),
        "notes": notes(graph),
        "input": {"name": INPUT, "type": "uint8", "shape": ["N", *pipeline.shape]},
        "outputs": {
            name: {"axes": list(OUTPUTS[name][0]), "holds": OUTPUTS[name][1]}
            for name in graph.names
        },
        "decoding": DECODING,
        "decode_side": pipeline.decode_side,
        "steps": pipeline.as_list(),
        "preparation_digest": pipeline.digest,
        "in_graph": {
            "normalise": facts.normalise,
            "mirror": facts.mirror,
            "temperature": facts.temperature,
        },
        "classes": facts.classes,
        "thresholds": facts.thresholds,
        "abstention": abstention(model),
        "verdict": verdict_line(facts.judged),
        "judged": facts.judged,
        "audits": audits(folder),
        "provenance": facts.provenance,
        "weights_digest": model_digest(folder),
    }


def notes(graph: ExportGraph) -> list[str]:
    """What the graph lacks, and why."""
    sentences = []
    if graph.without_map:
        sentences.append(f"The graph has no map and no heat: {graph.without_map}")
    elif graph.without_heat:
        sentences.append(f"The graph has no heat: {graph.without_heat}.")
    if graph.gate is None:
        sentences.append("The graph has no distance and no poses: this model refuses no image.")
    if graph.bounds is None:
        sentences.append("The graph has no possible: this model has no conformal bounds.")
    return sentences


def abstention(model: TrainedModel) -> dict[str, Any]:
    """When a model refuses or abstains, with every number."""
    film = {
        "least_side": ood.LEAST_SIDE,
        "least_spread": ood.LEAST_SPREAD,
        "most_colour": ood.MOST_COLOUR,
    }
    gate = {} if model.gate is None else gate_limits(model.gate)
    return {
        "rule": RULE,
        **gate,
        "possible_from": lowered(model.facts.conformal),
        "film": film,
    }


def gate_limits(gate: Gate) -> dict[str, Any]:
    """The limits of refusal, and what the poses mean."""
    looks = {name: words for name, (_, words) in ood.POSES.items()}
    return {
        "distance_above": gate.far,
        "pose_above": gate.turned,
        "poses": {"upright": "", **looks},
        "lungs_asked": gate.lungs,
        "lungs_asked_above": gate.ordinary,
    }


def audits(folder: Path) -> list[dict[str, Any]]:
    """Every audit of the run that a model folder lies in; none where it lies alone."""
    results = model_json.run_of(folder) / model_json.RESULTS
    with suppress(OSError, ValueError):
        rows = json.loads(results.read_text(encoding="utf-8")).get("audits", [])
        return [{key: row.get(key) for key in AUDIT_KEYS} for row in rows]
    return []


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
