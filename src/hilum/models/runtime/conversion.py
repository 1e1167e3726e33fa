"""Conversion of a torch network for OpenVINO, kept on disk: only the first start pays for it."""

import inspect
import warnings
from hashlib import sha256
from pathlib import Path

import openvino as ov
import torch
from openvino import frontend
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import nn

from hilum import files
from hilum.models import torchvision_compat
from hilum.models.runtime import compile_cache, openvino_write
from hilum.models.runtime.base import evaluating
from hilum.types import HilumError

FAILURES = (
    RuntimeError, frontend.GeneralFailure, frontend.NotImplementedFailure,
    frontend.OpConversionFailure, frontend.OpValidationFailure,
)  # fmt: skip


class UnconvertedError(HilumError):
    """A network that OpenVINO cannot take over."""


def converted(module: nn.Module, shape: tuple[int, int]) -> Path:
    """The network's intermediate representation on disk, made where it is not there yet.

    Raises UnconvertedError where OpenVINO cannot convert it.
    """
    path = compile_cache.path_of(key(module, shape))
    if not compile_cache.is_usable(path):
        network = _convert(module, shape)
        compile_cache.save_conversion(
            path.parent, lambda file: openvino_write.write_network(network, file)
        )
    return path


def key(module: nn.Module, shape: tuple[int, int]) -> str:
    """Hash of all that decides what the converted network computes.

    Structure (printed form and source files of the layers), tensors, image shape, and versions.
    """
    versions = {
        "openvino": ov.__version__,
        "torch": torch.__version__,
        "timm": torchvision_compat.timm().__version__,
    }
    read = sorted(files.sha256(path) for path in layer_sources(module))
    return files.stable_digest(versions, repr(module), read, _tensors(module), list(shape))


def _convert(module: nn.Module, shape: tuple[int, int]) -> ov.Model:
    example = torch.zeros((1, 1, *shape), dtype=torch.uint8)
    with evaluating(module), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter traces, which torch calls deprecated
        # traced once: the check would trace and run it again, for half of the time in all
        try:
            traced = TorchScriptPythonDecoder(
                module, example_input=example, trace_kwargs={"check_trace": False}
            )
            return ov.convert_model(traced, input=[(list(example.shape), ov.Type.u8)])
        except FAILURES as error:
            raise UnconvertedError(
                f"engine openvino cannot convert this network ({' '.join(str(error).split())}); "
                "choose engine torch."
            ) from error


def _tensors(module: nn.Module) -> str:
    total = sha256()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        plain = tensor.detach().cpu().contiguous()
        total.update(f"{name} {tuple(plain.shape)} {plain.dtype};".encode())
        total.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def layer_sources(module: nn.Module) -> list[Path]:
    """The files that define the layers' classes."""
    kinds = {type(layer) for layer in module.modules()}
    sources = {file for kind in kinds if (file := inspect.getsourcefile(kind)) is not None}
    return [path for path in map(Path, sorted(sources)) if path.is_file()]
