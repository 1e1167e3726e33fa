"""Compiles a network for this machine; see engine.Runtime for what the result promises."""

from importlib.util import find_spec

import torch
from torch import nn

from hilum.models.engine import Runtime, Target
from hilum.models.torch_engine import TorchRuntime
from hilum.types import HilumError

__all__ = ["Runtime", "Target", "compile_network"]

ENGINES = ("auto", "openvino", "torch")
PRECISIONS = ("auto", "bf16", "fp32")


def compile_network(
    module: nn.Module, shape: tuple[int, int], target: Target | None = None
) -> Runtime:
    """Compile `module`, uint8 (1, 1, height, width) -> (1, output), for images of `shape`.

    The module is read, not kept: later changes of its weights do not reach the runtime. What its
    `forward` does must show in its layers' source files, their printed form and their tensors,
    which key the cache of converted networks. Raises HilumError for an engine, device or precision
    that does not exist here.
    """
    target = target or Target()
    _require(target.engine, ENGINES, "an engine")
    _require(target.precision, PRECISIONS, "a precision")
    device = _device(target.device)
    if device.type == "cpu" and _openvino_is_wanted(target):
        from hilum.models.openvino_engine import OpenVinoRuntime

        return OpenVinoRuntime(module, shape, target.precision)
    if target.engine == "openvino":
        raise HilumError(
            f"engine openvino computes on the CPU; got device {device}; choose engine torch."
        )
    return TorchRuntime(module, shape, target.precision, device)


def _openvino_is_wanted(target: Target) -> bool:
    installed = find_spec("openvino") is not None
    if target.engine == "openvino" and not installed:
        raise HilumError(
            "engine 'openvino' needs the package openvino; got a Python without it; "
            "run pip install openvino, or choose engine torch."
        )
    return installed and target.engine != "torch"


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise HilumError(f"a device is auto, cpu or cuda[:n]; got {name!r}; choose one.") from error
    if device.type not in ("cpu", "cuda"):
        raise HilumError(f"a device is auto, cpu or cuda[:n]; got {name!r}; choose one.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise HilumError(
            f"{name!r} is not on this machine; got {torch.cuda.device_count()} CUDA devices; "
            "choose cpu."
        )
    return device


def _require(value: str, allowed: tuple[str, ...], what: str) -> None:
    if value not in allowed:
        raise HilumError(f"{what} is one of {', '.join(allowed)}; got {value!r}; choose one.")
