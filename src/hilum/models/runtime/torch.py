"""Plain torch: one image at a time on the CPU, padded batches of one fixed size on CUDA."""

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from hilum import files
from hilum.models.runtime.base import Precision, Progress, Runtime, RuntimeInfo, Wanted
from hilum.types import Floats, Grey8, HilumError, Stack8

CUDA_BATCH = 64  # images; always full, so that the kernels never change


class TorchRuntime(Runtime):
    """A network run by torch itself."""

    def __init__(
        self, module: nn.Module, shape: tuple[int, int], wanted: Wanted, device: torch.device
    ) -> None:
        within_cores()
        self._device = device
        self._batch = CUDA_BATCH if device.type == "cuda" else 1
        # the caller may go on training the original
        self._module = copy.deepcopy(module).eval().to(device)
        self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        precision = _precision(device, wanted, self._module)
        self.facts = RuntimeInfo("torch", str(device), precision, shape, 0)
        output = self._infer(np.zeros((self._batch, *shape), np.uint8))
        if output.ndim != 2:
            raise HilumError(
                f"a network to compile must give (image, output); got {tuple(output.shape)}; "
                "pool or flatten it."
            )
        self.facts = RuntimeInfo("torch", str(device), precision, shape, output.shape[1])

    def _fill(self, images: Iterator[Grey8], out: Floats, progress: Progress) -> int:
        done, waiting = 0, None
        for stack in _chunks(images, self._batch):
            launched = (done, len(stack), self._infer(_pad(stack, self._batch)))
            _keep(out, waiting)  # copied back while the next batch is computed
            waiting, done = launched, done + len(stack)
            progress(done, len(out))
        _keep(out, waiting)
        return done

    def _infer(self, stack: Stack8) -> Tensor:
        """(batch, height, width) -> (batch, output) on the device."""
        pixels = torch.from_numpy(stack)[:, None].to(self._device, non_blocking=True)
        bf16 = self.facts.precision == "bf16"
        with (
            torch.inference_mode(),
            _deterministic(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=bf16),
        ):
            output: Tensor = self._module(pixels)
        return output.float()


def within_cores() -> None:
    """Take no more threads than cores that a control group grants: OpenMP knows affinity alone.

    Threads beyond a quota are stopped in the middle of a layer, and all others wait for them. What
    the user has set stays.
    Quotas: https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    granted = files.available_cpus()
    if granted < torch.get_num_threads() and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(granted)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Compute on one thread: many small steps take less time so.

    Two threads meet after every operation: twice the processor time, and ten times the time where
    other programs use the cores. The results do not depend on the number of cores either.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bf16 itself, and so trains faster in it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def _precision(device: torch.device, wanted: Wanted, module: nn.Module) -> Precision:
    """bf16 where CUDA has it; on a CPU, and with depthwise convolutions, only when asked for."""
    if wanted != "auto":
        able = device.type == "cpu" or has_bf16(device)
        return "bf16" if wanted == "bf16" and able else "fp32"
    depthwise = any(
        isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels
        for layer in module.modules()
    )
    return "bf16" if device.type == "cuda" and has_bf16(device) and not depthwise else "fp32"


@contextmanager
def _deterministic() -> Iterator[None]:
    """Fixed kernels and no TF32 in cuDNN; no effect on a CPU.

    https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield


def _chunks(images: Iterator[Grey8], size: int) -> Iterator[Stack8]:
    for first in images:
        yield np.stack([first, *islice(images, size - 1)])


def _pad(stack: Stack8, size: int) -> Stack8:
    """(image, height, width) with black images added up to `size`."""
    return np.pad(stack, ((0, size - len(stack)), (0, 0), (0, 0)))


def _keep(out: Floats, waiting: tuple[int, int, Tensor] | None) -> None:
    if waiting is not None:
        start, count, values = waiting
        out[start : start + count] = values[:count].cpu().numpy()
