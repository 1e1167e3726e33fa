"""Compiles a network for this machine; see base.Runtime for what the result promises.

Neither torch nor a network is loaded where a saved network's conversion for OpenVINO is found.
"""

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from hilum import files
from hilum.models.runtime import compile_cache
from hilum.models.runtime.base import Runtime, Target
from hilum.models.runtime.compile_cache import SavedNetwork
from hilum.types import HilumError

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "Runtime",
    "SavedNetwork",
    "Target",
    "compile_network",
    "compile_quantised",
    "compile_saved",
]

DEVICE = "HILUM_DEVICE"  # what device "auto" is; unset: CUDA where there is any
ENGINES = ("auto", "openvino", "torch")
PRECISIONS = ("auto", "bf16", "fp32")
DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}  # NVIDIA's, by sys.platform
AMD = Path("/dev/kfd")  # where Linux has AMD's, which torch calls CUDA as well
# a network and a precision -> its runtime, as long as anyone holds it
_in_use: WeakValueDictionary[tuple[object, ...], Runtime] = WeakValueDictionary()


def compile_network(
    module: "nn.Module", shape: tuple[int, int], target: Target | None = None
) -> Runtime:
    """Compile `module`, uint8 (1, 1, height, width) -> (1, output), for images of `shape`.

    The module is read, not kept: later changes of its weights do not reach the runtime. What its
    `forward` does must show in its layers' source files, their printed form and their tensors,
    which key the cache of converted networks. Where OpenVINO cannot convert it, engine auto is
    torch. Raises HilumError for an engine, device or precision that does not exist here.
    """
    target = target or Target()
    if not openvino_computes(target):
        return _by_torch(module, shape, target)
    from hilum.models.runtime import conversion

    try:
        path = conversion.converted(module, shape)
    except conversion.UnconvertedError:
        if target.engine == "openvino":
            raise
        return _by_torch(module, shape, target)
    return _by_openvino(path, shape, target)


def compile_saved(
    saved: SavedNetwork, shape: tuple[int, int], target: Target | None = None
) -> Runtime:
    """The same for a network on disk, which is only built where no conversion of it is found."""
    target = target or Target()
    if openvino_computes(target) and (path := compile_cache.find_conversion(saved, shape)):
        return _by_openvino(path, shape, target)
    module = saved.build()
    runtime = compile_network(module, shape, target)
    if runtime.network is not None:
        from hilum.models.runtime import conversion

        compile_cache.remember_conversion(
            saved, shape, runtime.network, conversion.layer_sources(module)
        )
    return runtime


def _by_openvino(path: Path, shape: tuple[int, int], target: Target) -> Runtime:
    """A converted network, compiled once for all who use it at a time in this process."""
    from hilum.models.runtime.openvino import OpenVinoRuntime

    network = (path, shape, target.alone, files.available_cpus())
    runtime = _in_use.get((network, target.precision))
    if runtime is None:
        runtime = OpenVinoRuntime(path, shape, target.precision, alone=target.alone)
        for precision in {target.precision, runtime.facts.precision}:  # "auto", and what it was
            _in_use[network, precision] = runtime
    return runtime


def _by_torch(module: "nn.Module", shape: tuple[int, int], target: Target) -> Runtime:
    from hilum.models.runtime.torch import TorchRuntime

    return TorchRuntime(module, shape, target.precision, _device(target.device))


def compile_quantised(network: Path, shape: tuple[int, int]) -> Runtime:
    """A network in int8, a file of OpenVINO's: on the CPU, whatever else this machine has."""
    openvino_computes(Target(device="cpu", engine="openvino"))
    from hilum.models.runtime.openvino import OpenVinoRuntime

    return OpenVinoRuntime(network, shape, "int8")


def openvino_computes(target: Target) -> bool:
    """Whether OpenVINO is to compute; raises HilumError for a target that is not to be had.

    Engine auto is torch where OpenVINO does not survive on this processor.
    """
    _require(target.engine, ENGINES, "an engine")
    _require(target.precision, PRECISIONS, "a precision")
    on_cpu = _is_cpu(target.device)
    if target.engine == "openvino" and not on_cpu:
        raise HilumError(
            f"engine openvino computes on the CPU; got device {_device(target.device)}; choose "
            "engine torch."
        )
    return on_cpu and _openvino_is_wanted(target)


def _is_cpu(name: str) -> bool:
    """Whether a device is the CPU; torch is asked only where it could be another."""
    name = _wanted(name)
    if name == "cpu" or (name == "auto" and not _has_driver()):
        return True
    return _device(name).type == "cpu"


def _has_driver() -> bool:
    """Whether there is a driver without which torch finds no CUDA device."""
    name = DRIVERS.get(sys.platform)
    if name is None:
        return False
    try:
        ctypes.CDLL(name)
    except OSError:
        return AMD.exists()
    return True


def has_openvino() -> bool:
    """Whether the package is installed."""
    return find_spec("openvino") is not None


def _openvino_is_wanted(target: Target) -> bool:
    installed = has_openvino()
    if target.engine == "openvino" and not installed:
        raise HilumError(
            "engine 'openvino' needs the package openvino; got a Python without it; "
            "run pip install openvino, or choose engine torch."
        )
    return installed and target.engine != "torch" and _openvino_survives(target)


def _openvino_survives(target: Target) -> bool:
    from hilum.models.runtime import openvino_check

    outcome = openvino_check.outcome()
    if target.engine == "openvino" and not outcome.works:
        raise HilumError(
            f"engine openvino must survive on this processor; got a trial that {outcome.reason}; "
            "choose engine torch, or try again with `hilum doctor`."
        )
    return outcome.works


def training_device() -> str:
    """Where networks are trained: on $HILUM_DEVICE, or CUDA where there is any."""
    return str(_device("auto"))


def require_cpu(what: str) -> None:
    """Raise HilumError where $HILUM_DEVICE asks for another device than the CPU."""
    if (name := _wanted("auto")) not in ("auto", "cpu"):
        raise HilumError(f"{what} runs on the CPU only; got device {name!r}; choose auto or cpu.")


def _wanted(name: str) -> str:
    """The device itself, or for "auto" what $HILUM_DEVICE says."""
    return (os.environ.get(DEVICE, "").strip() or name) if name == "auto" else name


def _device(name: str) -> "torch.device":
    import torch

    name = _wanted(name)
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
