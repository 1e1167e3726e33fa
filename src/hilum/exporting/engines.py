"""What torch, ONNX Runtime and OpenVINO make of one graph: the rows that an answer is read from.

A row is what `inference.exported` has: logarithms of probabilities, distance, poses.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.exporting.graph import INPUT, ExportGraph
from hilum.inference import exported
from hilum.types import Floats, Stack8

Rows: TypeAlias = Callable[[Stack8], Floats]  # (image, height, width) -> (image, row)
AT_ONCE = 4  # images in a batch: more than one, so that the batch axis is tried as well
PACKAGES = {"torch": "torch", "ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}


def versions(names: list[str]) -> dict[str, str]:
    """Engine -> version."""
    return {name: version(PACKAGES[name]) for name in names}


def torch_rows(graph: ExportGraph) -> Rows:
    """The torch module itself."""
    import torch

    from hilum.models.runtime.torch import within_cores

    within_cores()
    graph.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def one(batch: Stack8) -> Floats:
        with torch.inference_mode():
            outputs = graph(torch.from_numpy(batch))
        return _rows({name: t.numpy() for name, t in zip(graph.names, outputs, strict=True)})

    return _in_batches(one)


def onnxruntime_rows(path: Path) -> Rows:
    """ONNX Runtime on the CPU, on as many cores as there are."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = files.available_cpus()
    # waiting threads sleep: on a busy machine a spinning one holds the core that the others need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors: its warnings are about its own optimiser
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    wanted = _wanted([output.name for output in session.get_outputs()])

    def one(batch: Stack8) -> Floats:
        outputs = session.run(wanted, {INPUT: batch})
        return _rows(dict(zip(wanted, outputs, strict=True)))

    return _in_batches(one)


def openvino_rows(path: Path, precision: str = "fp32") -> Rows:
    """OpenVINO on the CPU: read, then compiled; in bf16 where hilum itself would compute in it."""
    import openvino as ov

    from hilum.models.runtime.openvino import HINTS, UNPINNED, compile_on_cpu, settled_precision

    core = ov.Core()
    network = core.read_model(path)
    settled = settled_precision(core, exported.WANTED[precision], network)
    settings = {
        "INFERENCE_NUM_THREADS": files.available_cpus(),
        "INFERENCE_PRECISION_HINT": HINTS[settled],
        **UNPINNED,
    }
    compiled = compile_on_cpu(core, network, settings)
    request = compiled.create_infer_request()
    wanted = _wanted([output.any_name for output in compiled.outputs])

    def one(batch: Stack8) -> Floats:
        request.infer({INPUT: np.ascontiguousarray(batch)})
        return _rows({name: request.get_tensor(name).data.copy() for name in wanted})

    return _in_batches(one)


def _wanted(names: list[str]) -> list[str]:
    return [name for name in ("probabilities", "distance", "poses") if name in names]


def _rows(outputs: Mapping[str, npt.NDArray[Any]]) -> Floats:
    """Outputs by name -> (image, row)."""
    parts = [np.log(np.maximum(outputs["probabilities"], exported.LEAST))]
    if "distance" in outputs:
        parts += [outputs["distance"][:, None], outputs["poses"]]
    return np.concatenate(parts, 1).astype(np.float32)


def _in_batches(one: Rows) -> Rows:
    def rows(stack: Stack8) -> Floats:
        return np.concatenate([one(batch) for batch in _batches(stack)])

    return rows


def _batches(stack: Stack8) -> Iterator[Stack8]:
    for start in range(0, len(stack), AT_ONCE):
        yield np.ascontiguousarray(stack[start : start + AT_ONCE])
