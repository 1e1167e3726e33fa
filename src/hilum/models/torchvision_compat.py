"""Makes torchvision importable with a torch build that its compiled operators do not fit.

Import this module before the first import of torchvision or timm.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

OPERATORS = ("nms", "qnms")
COMPILER = "torch._dynamo.utils"
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def repair() -> torch.library.Library | None:
    """Define the operators that torchvision's import asks for, unless its compiled ones load.

    Returns the library that owns the definitions, which live as long as it does; None where
    nothing had to be done.
    """
    if _operators_defined() or _compiled_operators_load():
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in OPERATORS:
        library.define(name + SIGNATURE)  # type: ignore[no-untyped-call]
    return library


def _operators_defined() -> bool:
    return all(hasattr(torch.ops.torchvision, name) for name in OPERATORS)


def _compiled_operators_load() -> bool:
    """Try torchvision's own extension: a CUDA build fails with a CPU torch."""
    spec = PathFinder.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return False
    folder = Path(next(iter(spec.submodule_search_locations)))
    extensions = sorted([*folder.glob("_C*.so"), *folder.glob("_C*.pyd")])
    return any(_can_load(path) for path in extensions) and _operators_defined()


def _can_load(path: Path) -> bool:
    try:
        torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except (OSError, ImportError):
        return False
    return True


def timm() -> ModuleType:
    """The timm package, imported after the repair, without torch's compiler."""
    if "timm" not in sys.modules and COMPILER not in sys.modules:
        with _without_compiler():
            import_module("torchvision")
            import_module("timm")
    return import_module("timm")  # waits where another thread is importing it


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Keep both imports from loading torch.compile: seconds that no network here needs.

    torchvision's RoI pooling asks the compiler for one function, and is given one that loads it
    when it is called; timm shields one method of one network from the compiler, and need not.
    """
    shield = torch.compiler.disable
    sys.modules[COMPILER] = stand_in = ModuleType(COMPILER)
    stand_in.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    torch.compiler.disable = _undecorated  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compiler.disable = shield
        if sys.modules.get(COMPILER) is stand_in:
            del sys.modules[COMPILER]


def _undecorated(method: Any) -> Any:
    return method


def _is_compile_supported(device: str) -> bool:
    return bool(import_module(COMPILER).is_compile_supported(device))


DEFINED = repair()  # kept: the operators vanish with the object that defined them
