"""Makes torchvision importable beside a torch build that its compiled operators do not fit.

Import this module before the first import of torchvision or timm.
"""

from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import torch

OPERATORS = ("nms", "qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def repair() -> torch.library.Library | None:
    """Define the operators that torchvision's import asks for, unless its compiled ones load.

    Returns the library that owns the definitions, which live as long as it does; None where
    nothing had to be done.
    """
    if _defined() or _compiled_operators_load():
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in OPERATORS:
        library.define(name + SIGNATURE)  # type: ignore[no-untyped-call]
    return library


def _defined() -> bool:
    return all(hasattr(torch.ops.torchvision, name) for name in OPERATORS)


def _compiled_operators_load() -> bool:
    """Try torchvision's own extension: a CUDA build fails beside a CPU torch."""
    found = PathFinder.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        return False
    folder = Path(next(iter(found.submodule_search_locations)))
    extensions = sorted([*folder.glob("_C*.so"), *folder.glob("_C*.pyd")])
    return any(_loads(path) for path in extensions) and _defined()


def _loads(path: Path) -> bool:
    try:
        torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except (OSError, ImportError):
        return False
    return True


def timm() -> ModuleType:
    """The timm package, imported after the repair."""
    import timm as package

    return package


DEFINED = repair()  # kept: the operators vanish with the object that defined them
