"""A graph as one ONNX file, with all that a consumer must know in its metadata.

https://onnx.ai/onnx/repo-docs/IR.html
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hilum.exporting.graph import INPUT, ExportGraph
from hilum.exporting.record import OPSET, as_text

if TYPE_CHECKING:
    import onnx

PREFIX = "hilum."
NETWORK = "backbone."  # begins the names of the network's own tensors


def to_onnx(graph: ExportGraph, shape: tuple[int, int]) -> "onnx.ModelProto":
    """The graph for films of `shape` (height, width) and batches of any size."""
    example = torch.zeros((2, *shape), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations
        program = torch.onnx.export(
            graph.eval(),
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=graph.names,
            dynamic_shapes={INPUT: {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - the dynamo exporter always gives one
    proto: onnx.ModelProto = program.model_proto
    _forget_sources(proto)
    return proto


def describe(proto: "onnx.ModelProto", record: Mapping[str, Any]) -> None:
    """Write the record into the model's metadata: a text `hilum.<key>` for each of its keys."""
    del proto.metadata_props[:]
    for key, value in record.items():
        proto.metadata_props.add(key=f"{PREFIX}{key}", value=as_text(value))


def write(proto: "onnx.ModelProto", path: Path) -> Path:
    """Write the file, weights and all: the same model gives the same bytes."""
    path.write_bytes(proto.SerializeToString(deterministic=True))
    return path


def _forget_sources(proto: "onnx.ModelProto") -> None:
    """Take out what the exporter noted of source files: their paths name folders and people."""
    graph = proto.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    del graph.value_info[:]  # shapes of what lies between, with notes of the same kind
    graph.name, graph.doc_string = "hilum", ""
