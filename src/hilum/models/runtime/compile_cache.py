"""Converted networks on disk, and how that of a saved network is found without building it.

To build a network only to learn its key takes torch, timm and seconds. So a note is next to the
conversions: what decided a saved network then, and the source files of its layers.
"""

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from hilum import files
from hilum.files import intact
from hilum.types import HilumError

if TYPE_CHECKING:
    from torch import nn

CHECK = "model.crc32"  # next to a conversion: CRC-32 of its two files
PACKAGES = ("openvino", "timm", "torch")  # whose versions decide what a network computes


@dataclass(frozen=True, slots=True)
class SavedNetwork:
    """A network that lies on disk: what decides it, ready for JSON, and how to build it."""

    decides: tuple[object, ...]  # digests of its files, what they say of its structure
    build: "Callable[[], nn.Module]"


def path_of(key: str) -> Path:
    """Where the network converted under this key lies."""
    return files.cache_home() / "compiled" / key / "model.xml"


def conversion_digest(network: Path) -> str:
    """SHA-256 of a converted network's two files together; raises OSError where one is missing."""
    return files.stable_digest(
        *(files.sha256(network.with_suffix(end)) for end in (".xml", ".bin"))
    )


def is_usable(network: Path) -> bool:
    """Whether both files of a conversion are as they were written; where they are not, say so."""
    pair = (network, network.with_suffix(".bin"))
    if not network.is_file():
        return False
    try:
        if intact.known_whole(*pair):
            return True
        if (network.parent / CHECK).read_text() == _checks(network):
            intact.remember_whole(*pair)
            return True
    except (OSError, ValueError):
        pass
    intact.note_damage("a converted network's files", network.parent)
    return False


def save_conversion(folder: Path, write: Callable[[Path], None]) -> None:
    """Have `write` make both files elsewhere and rename their folder: it is there whole or not.

    `write` gets the path of the `.xml`. Raises HilumError where the disk refuses.
    """
    temporary = folder.with_name(f".{uuid4().hex[:8]}.{folder.name}")
    network = temporary / "model.xml"
    try:
        temporary.mkdir(parents=True)
        write(network)
        (temporary / CHECK).write_text(_checks(network))
        _put_in_place(temporary, folder)
    except OSError as error:
        raise files.write_error(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(whole: Path, folder: Path) -> None:
    """Rename a folder, unless another process was faster; what is damaged there goes."""
    if folder.is_dir() and not is_usable(folder / "model.xml"):
        damaged = whole.with_name(f"{whole.name}.damaged")
        with suppress(OSError):  # another process has just replaced it
            folder.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        whole.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster
            raise


def _checks(network: Path) -> str:
    return " ".join(f"{intact.crc32(network.with_suffix(end)):08x}" for end in (".xml", ".bin"))


def find_conversion(saved: SavedNetwork, shape: tuple[int, int]) -> Path | None:
    """The conversion of a saved network for images of `shape` (height, width), or None.

    Only where nothing has changed since: the network's files, the packages' versions, hilum's own
    table of networks, and the source files of the network's layers.
    """
    try:
        note = json.loads(_note(saved, shape).read_text())
        same = all(files.sha256(path) == digest for path, digest in note["sources"].items())
        path = path_of(note["key"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return path if same and is_usable(path) else None


def remember_conversion(
    saved: SavedNetwork, shape: tuple[int, int], path: Path, sources: Iterable[Path]
) -> None:
    """Remember where the conversion lies; a cache that cannot be written costs time only."""
    note = {
        "key": path.parent.name,
        "sources": {str(source): files.sha256(source) for source in sources},
    }
    with suppress(HilumError), files.atomic_write(_note(saved, shape)) as temporary:
        temporary.write_text(json.dumps(note, indent=1))


def _note(saved: SavedNetwork, shape: tuple[int, int]) -> Path:
    versions = [_installed(name) for name in PACKAGES]
    own = sorted(files.sha256(path) for path in Path(__file__).parent.glob("*.py"))
    name = files.stable_digest(versions, own, *saved.decides, list(shape))
    return files.cache_home() / "compiled" / f"{name}.json"


def _installed(package: str) -> str:
    """A package's version; "" without it, as where exported models are used without torch."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
