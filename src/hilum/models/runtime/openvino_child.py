"""Compiles and runs a small network by OpenVINO: a script for a process that may be killed by it.

Nothing of hilum is imported. The layers are of the kinds that the networks here have.
"""

import sys
from typing import Any

# see hilum.models: no start is reported to a web service
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import numpy as np  # noqa: E402
import openvino as ov  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

SIDE, CHANNELS, OUTPUTS = 32, 64, 32


def small_network() -> ov.Model:
    """uint8 (1, 1, side, side) -> (1, output): convolutions, whole and depthwise, pool, product."""

    def weights(*shape: int) -> Any:
        return ops.constant(np.full(shape, 0.01, np.float32))

    def convolved(x: Any, kernel: Any, side: int, grouped: bool = False) -> Any:
        kind = ops.group_convolution if grouped else ops.convolution
        pad = [side // 2, side // 2]
        return ops.relu(kind(x, kernel, [1, 1], pad, pad, [1, 1]))

    pixels = ops.parameter([1, 1, SIDE, SIDE], np.uint8)
    x = ops.convert(pixels, "f32")
    x = convolved(x, weights(CHANNELS, 1, 3, 3), 3)
    x = convolved(x, weights(CHANNELS, 1, 1, 3, 3), 3, grouped=True)
    x = convolved(x, weights(CHANNELS, CHANNELS, 1, 1), 1)
    x = convolved(x, weights(CHANNELS, CHANNELS, 3, 3), 3)
    x = ops.reduce_mean(x, ops.constant(np.array([2, 3])), keep_dims=False)
    x = ops.matmul(x, weights(CHANNELS, OUTPUTS), transpose_a=False, transpose_b=False)
    return ov.Model([x], [pixels], "small")


def main() -> None:
    """Compile and run in each precision that may be chosen, and for one image on all cores."""
    core, film = ov.Core(), np.ones((1, 1, SIDE, SIDE), np.uint8)
    for precision in ("f32", "bf16"):
        for hint in ("THROUGHPUT", "LATENCY"):
            settings = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision}
            compiled = core.compile_model(small_network(), "CPU", settings)
            compiled.create_infer_request().infer({0: film})


if __name__ == "__main__":
    main()
