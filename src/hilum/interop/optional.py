"""Libraries that hilum works with but does not need: loaded when used, missed in one sentence."""

from importlib import import_module
from typing import Any

from hilum.types import HilumError


def load(module: str, what: str, package: str) -> Any:
    """The module called `module`; HilumError that says how to install `package` where absent."""
    try:
        return import_module(module)
    except ImportError as error:
        raise HilumError(
            f"{what} needs the package {module.partition('.')[0]}; got a Python without it "
            f"({error}); run pip install {package!r}."
        ) from None
