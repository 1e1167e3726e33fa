"""The optional parts of hilum that users install, and the packages that each needs."""

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from hilum.types import HilumError

FOR_DEVELOPERS = {"browser", "dev"}  # extras that nobody else needs
NEEDED = re.compile(r"""([\w.-]+).*\bextra == ['"]([\w-]+)['"]""")


def packages_by_extra() -> dict[str, list[str]]:
    """Extra -> names of its packages; nothing where hilum runs from its source, never installed."""
    try:
        lines = requires("hilum") or ()
    except PackageNotFoundError:
        return {}
    packages: dict[str, list[str]] = {}
    for found in map(NEEDED.match, lines):
        if found and found[2] not in FOR_DEVELOPERS:
            packages.setdefault(found[2], []).append(found[1])
    return dict(sorted(packages.items()))


def missing_packages() -> dict[str, list[str]]:
    """Extra -> those of its packages that are not installed."""
    return {
        extra: [name for name in names if not _has(name)]
        for extra, names in packages_by_extra().items()
    }


def sentence(module: str) -> str:
    """How to install a module that an extra brings, or "" for any other module."""
    plain = module.partition(".")[0].replace("-", "_")
    for extra, names in packages_by_extra().items():
        if plain in (name.replace("-", "_") for name in names):
            return (
                f"this needs the package {plain}, which is not installed; "
                f"run pip install 'hilum[{extra}]'."
            )
    return ""


def require(command: str, modules: Sequence[str], extra: str) -> None:
    """Raise HilumError where a command's modules are not installed; its extra brings them."""
    absent = [name for name in modules if find_spec(name) is None]
    if absent:
        raise HilumError(
            f"{command} needs packages that are not installed: {', '.join(absent)}; "
            f"run pip install 'hilum[{extra}]'."
        )


def _has(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False
