"""Digests of a model folder in its `model.json`: of each file next to it, and of itself.

One flipped bit in a head changes labels and shows nowhere. Folders of earlier versions have no
digests and load as they did.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hilum import files
from hilum.files import intact
from hilum.types import HilumError

KEY = "digests"  # of `model.json`
FILES, RECORD = "files", "record"  # below it: name -> SHA-256; of all else in `model.json`


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those of a folder's files that are there, by name."""
    return {name: intact.sha256_once(folder / name) for name in names if (folder / name).is_file()}


def renewed(record: Mapping[str, Any], folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """The digests of a record, those of the files that were just written anew.

    Nothing where the record has none, as an earlier version's.
    """
    if (held := record.get(KEY)) is None:
        return {}
    return {KEY: {FILES: {**held[FILES], **digests_of(folder, names)}}}


def with_own_digest(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the digest of itself, where it has digests of files."""
    if KEY not in record:
        return dict(record)
    return {**record, KEY: {**record[KEY], RECORD: _own(record)}}


def require_own_digest(record: Mapping[str, Any], path: Path) -> None:
    """Raise HilumError where `model.json` is not what hilum wrote."""
    held = record.get(KEY)
    if held is None:
        return
    if not isinstance(held, dict) or held.get(RECORD) != _own(record):
        raise _changed(path, "another")


def require_files(folder: Path, record: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raise HilumError where one of these files is not the one that was written.

    What tells of images and patients may be taken away before a model is passed on.
    """
    held = record.get(KEY, {}).get(FILES, {})
    for name in (name for name in names if name in held):
        path = folder / name
        if not path.is_file():
            if name.endswith(".csv"):
                continue
            raise _changed(path, "none")
        if intact.sha256_once(path) != held[name]:
            raise _changed(path, "another")


def _own(record: Mapping[str, Any]) -> str:
    files_only = {key: value for key, value in record[KEY].items() if key != RECORD}
    rest = {key: value for key, value in record.items() if key != KEY}
    return files.stable_digest(rest, files_only)


def _changed(path: Path, got: str) -> HilumError:
    return HilumError(
        f"{path} must be the file that hilum wrote; got {got}; restore the folder, or train the "
        "model again."
    )
