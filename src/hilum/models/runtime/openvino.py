"""OpenVINO on the CPU: one image and one thread per request, as many requests as cores.

Or, for somebody who waits for one image, one request on all cores.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
import openvino as ov

from hilum import files
from hilum.files import thread_room
from hilum.models.runtime import compile_cache
from hilum.models.runtime.base import Precision, Progress, Runtime, RuntimeInfo, Wanted
from hilum.types import Floats, Grey8, HilumError

# pinned, the threads of every process begin at the first core: two processes would share it
UNPINNED = {"ENABLE_CPU_PINNING": False}
OTHER_THREADS = 4  # that OpenVINO starts besides those that compute
# what a network in int8 leaves in floating point is the same everywhere
HINTS = {"bf16": "bf16", "fp32": "f32", "int8": "f32"}


class OpenVinoRuntime(Runtime):
    """A converted network, a file of OpenVINO's or what was read from one, compiled by OpenVINO."""

    def __init__(
        self,
        converted: Path | ov.Model,
        shape: tuple[int, int],
        wanted: Wanted | Literal["int8"],
        alone: bool = False,
    ) -> None:
        core = ov.Core()
        model = core.read_model(converted) if isinstance(converted, Path) else converted
        precision = settled_precision(core, wanted, model)
        output = model.output(0).partial_shape
        if len(output) != 2 or output.is_dynamic:
            raise HilumError(
                f"a network to compile must give (1, output); got {output}; pool or flatten it."
            )
        threads = files.available_cpus()
        self._requests = 1 if alone else threads
        settings = {
            "PERFORMANCE_HINT": "LATENCY" if alone else "THROUGHPUT",
            "NUM_STREAMS": self._requests,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            **UNPINNED,
        }
        compiled = compile_on_cpu(core, model, settings)
        # plain threads, not OpenVINO's own queue: its callbacks can deadlock on Python's lock
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(self._requests):
            self._idle.put(compiled.create_infer_request())
        self.network = converted if isinstance(converted, Path) else None
        digest = ""
        if precision == "int8" and self.network is not None:
            digest = compile_cache.conversion_digest(self.network)
        self.facts = RuntimeInfo(
            "openvino", "cpu", precision, shape, output[1].get_length(), digest
        )
        # the binding imports NumPy at its first use, and two threads that meet there wait for ever
        self._infer(np.zeros(shape, np.uint8), np.empty(self.facts.outputs, np.float32))

    def _fill(self, images: Iterator[Grey8], out: Floats, progress: Progress) -> int:
        submitted = 0
        running: deque[Future[None]] = deque()
        with ThreadPoolExecutor(self._requests) as pool:
            for submitted, image in enumerate(images, 1):
                running.append(pool.submit(self._infer, image, out[submitted - 1]))
                if len(running) > 2 * self._requests:  # few wait, so that memory stays flat
                    running.popleft().result()
                    progress(submitted - len(running), len(out))
            while running:
                running.popleft().result()
                progress(submitted - len(running), len(out))
        return submitted

    def _infer(self, image: Grey8, into: Floats) -> None:
        """(height, width) -> (output,), written into `into`."""
        request = self._idle.get()
        try:
            request.infer({0: np.ascontiguousarray(image)[None, None]})
            into[:] = request.get_output_tensor(0).data[0]
        finally:
            self._idle.put(request)


def compile_on_cpu(core: ov.Core, model: ov.Model, settings: dict[str, Any]) -> ov.CompiledModel:
    """Compile where there is room for its threads; MemoryError or RuntimeError where there is none.

    Without it OpenVINO may wait for ever.
    """
    thread_room.require_threads(settings["INFERENCE_NUM_THREADS"] + OTHER_THREADS)
    return core.compile_model(model, "CPU", settings)


def settled_precision(
    core: ov.Core, wanted: Wanted | Literal["int8"], model: ov.Model
) -> Precision:
    """What to compute in: bf16 only where the processor has it; emulated, it would be slower.

    Depthwise convolutions lose most by its rounding: with them it has to be asked for.
    What bf16 rounds: Kalamkar et al. 2019, arXiv:1905.12322.
    """
    if wanted == "int8":
        return "int8"
    able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    fine = wanted == "fp32" or (wanted == "auto" and _is_depthwise(model))
    return "bf16" if able and not fine else "fp32"


def _is_depthwise(model: ov.Model) -> bool:
    """Whether a convolution of the network has a kernel of its own for each channel."""
    grouped = (op for op in model.get_ops() if op.get_type_name() == "GroupConvolution")
    return any(list(op.input(1).get_shape())[1:3] == [1, 1] for op in grouped)
