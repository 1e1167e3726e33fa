"""Tensors of a whole model that torch saved as Python objects, read without its code.

torch.save(model) writes the names of the model's classes, and loading it in the usual way imports
and calls what these names say. Here every name stands for an empty object that can do nothing;
only tensors are built. Nothing is imported and nothing of the file is called.
"""

import copyreg
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import torch
from torch import Tensor

TENSOR = ("torch._utils", "_rebuild_tensor_v2")
PARAMETER = ("torch._utils", "_rebuild_parameter")
MOST = 100_000  # modules of one model


class _Fixed(type):
    """Classes whose attributes no file can change."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise AttributeError(name)


class Inert(metaclass=_Fixed):
    """What a name of the file stands for; it takes whatever it is given and does nothing."""

    dump_patches = False  # torch asks a module's class whether to write down how its code changed

    def __init__(self, *_: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, value: object) -> None: ...

    def extend(self, values: object) -> None: ...


class _BuildTensor:
    """Builds a tensor on a part of the file's numbers; without attributes that a file could set."""

    __slots__ = ()

    def __call__(
        self, storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
    ) -> Tensor:
        numbers = torch.empty(0, dtype=storage.dtype)
        return numbers.set_(storage._untyped_storage, offset, size, stride)


class _BuildParameter:
    """A parameter is its tensor here."""

    __slots__ = ()

    def __call__(self, tensor: Any, *_: object) -> Any:
        return tensor


class InertUnpickler(pickle.Unpickler):
    """An unpickler that knows tensors, dictionaries and sets, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What `name` stands for: a fresh empty class, unless it is one of the few known."""
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        return _Fixed("Inert", (Inert,), {})


_KNOWN: dict[tuple[str, str], Any] = {
    TENSOR: _BuildTensor(),
    PARAMETER: _BuildParameter(),
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}


def _load(file: BinaryIO, encoding: str = "utf-8") -> Any:
    return InertUnpickler(file, encoding=encoding).load()


_PICKLE: Any = SimpleNamespace(Unpickler=InertUnpickler, load=_load, __name__="inert")


def read(path: Path) -> Any:
    """The content of a .pt or .pth file with every tensor in it; modules become dictionaries.

    Raises what torch raises for a file that is none, and ValueError for TorchScript, which is a
    program.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise ValueError("a TorchScript program")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks for the classes' source code
        copyreg.clear_extension_cache()  # Python takes numbered names from it, and asks nobody
        try:
            content = torch.load(
                path, map_location="cpu", weights_only=False, pickle_module=_PICKLE
            )
        finally:
            copyreg.clear_extension_cache()  # of our empty classes
    return dict(_tensors_of(content)) if isinstance(content, Inert) else content


def _tensors_of(module: Inert) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers under the names that the module's own state dictionary has."""
    waiting = [("", module)]
    for seen, (prefix, one) in enumerate(waiting):
        if seen == MOST:
            raise ValueError(f"more than {MOST} modules")
        passing = vars(one).get("_non_persistent_buffers_set", ())
        lasting = [item for item in _items(one, "_buffers") if item[0] not in passing]
        for name, tensor in (*_items(one, "_parameters"), *lasting):
            if isinstance(tensor, Tensor):
                yield f"{prefix}{name}", tensor
        children = _items(one, "_modules")
        waiting += [(f"{prefix}{name}.", it) for name, it in children if isinstance(it, Inert)]


def _items(module: Inert, kind: str) -> list[tuple[str, Any]]:
    found = vars(module).get(kind)
    return list(found.items()) if isinstance(found, Mapping) else []
