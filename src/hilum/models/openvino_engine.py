"""OpenVINO on the CPU: one image per request, one thread per request, as many as there are cores.

The converted network is kept on disk, so that only the first start pays for the conversion.
"""

import inspect
import shutil
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from uuid import uuid4

import numpy as np
import openvino as ov
import torch
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import nn

from hilum import files
from hilum.models import shim
from hilum.models.engine import Facts, Precision, Progress, Runtime, Wanted, evaluating
from hilum.types import Floats, Grey8, HilumError

_HINTS = {"bf16": "bf16", "fp32": "f32"}


class OpenVinoRuntime(Runtime):
    """A network compiled by OpenVINO."""

    def __init__(self, module: nn.Module, shape: tuple[int, int], wanted: Wanted) -> None:
        core = ov.Core()
        precision = _precision(core, wanted)
        model = core.read_model(converted(module, shape))
        output = model.output(0).partial_shape
        if len(output) != 2 or output.is_dynamic:
            raise HilumError(
                f"a network to compile must give (1, output); got {output}; pool or flatten it."
            )
        threads = files.cores()
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
        }
        compiled = core.compile_model(model, "CPU", settings)
        # plain threads, not OpenVINO's own queue: its callbacks can deadlock on Python's lock
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(threads):
            self._idle.put(compiled.create_infer_request())
        self._threads = threads
        self.facts = Facts("openvino", "cpu", precision, shape, output[1].get_length())
        # the binding imports NumPy at its first use, and two threads that meet there wait for ever
        self._infer(np.zeros(shape, np.uint8), np.empty(self.facts.outputs, np.float32))

    def _fill(self, images: Iterator[Grey8], out: Floats, progress: Progress) -> int:
        submitted = 0
        running: deque[Future[None]] = deque()
        with ThreadPoolExecutor(self._threads) as pool:
            for submitted, image in enumerate(images, 1):
                running.append(pool.submit(self._infer, image, out[submitted - 1]))
                if len(running) > 2 * self._threads:  # few wait, so that memory stays flat
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


def converted(module: nn.Module, shape: tuple[int, int]) -> Path:
    """The network's intermediate representation on disk, made where it is not there yet."""
    folder = files.cache_home() / "compiled" / key(module, shape)
    if not (folder / "model.xml").is_file():
        _write(_convert(module, shape), folder)
    return folder / "model.xml"


def key(module: nn.Module, shape: tuple[int, int]) -> str:
    """Hash of all that decides what the converted network computes.

    Structure (printed form and source files of the layers), tensors, image shape, and versions.
    """
    versions = {
        "openvino": ov.__version__,
        "torch": torch.__version__,
        "timm": shim.timm().__version__,
    }
    return files.digest(versions, repr(module), _sources(module), _tensors(module), list(shape))


def _precision(core: ov.Core, wanted: Wanted) -> Precision:
    """bf16 only where the processor has it: emulated, it would be slower and no more exact."""
    able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if able and wanted != "fp32" else "fp32"


def _convert(module: nn.Module, shape: tuple[int, int]) -> ov.Model:
    example = torch.zeros((1, 1, *shape), dtype=torch.uint8)
    with evaluating(module), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter traces, which torch calls deprecated
        # traced once: the check would trace and run it again, for half of the time in all
        traced = TorchScriptPythonDecoder(
            module, example_input=example, trace_kwargs={"check_trace": False}
        )
        return ov.convert_model(traced, input=[(list(example.shape), ov.Type.u8)])


def _write(model: ov.Model, folder: Path) -> None:
    """Write both files elsewhere and rename their folder: it is there whole or not at all."""
    temporary = folder.with_name(f".{uuid4().hex[:8]}.{folder.name}")
    temporary.mkdir(parents=True)
    try:
        ov.save_model(model, temporary / "model.xml", compress_to_fp16=False)
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _tensors(module: nn.Module) -> str:
    total = sha256()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        plain = tensor.detach().cpu().contiguous()
        total.update(f"{name} {tuple(plain.shape)} {plain.dtype};".encode())
        total.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _sources(module: nn.Module) -> list[str]:
    """Hashes of the files that define the layers' classes."""
    kinds = {type(layer) for layer in module.modules()}
    paths = {file for kind in kinds if (file := inspect.getsourcefile(kind)) is not None}
    return sorted(files.sha256(path) for path in paths if Path(path).is_file())
