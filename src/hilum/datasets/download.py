"""Bringing a public dataset onto this machine, where its publisher asks for no account."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from hilum import files
from hilum.datasets import archive, registry
from hilum.datasets.base import DatasetCard
from hilum.types import MissingError, as_path

Progress: TypeAlias = Callable[[int, int], None] | None


def datasets_home() -> Path:
    """Folder of the datasets that `fetch` has brought, below the cache home."""
    return files.cache_home() / "datasets"


def fetch(name: str, to: str | Path | None = None, progress: Progress = None) -> Path:
    """Download a dataset by its card's name and return its folder, laid out as published.

    The folder is made below `to` (default: the cache) once everything has arrived and been
    unpacked, so that a folder which is there is whole; one that is there already is kept.
    `progress` counts the bytes of the file that is being fetched. Raises MissingError, with what
    to do by hand, where an account is needed or the network fails, and HilumError for an unknown
    name, a wrong checksum, a hostile or damaged archive and a disk that refuses.
    """
    card = registry.find_dataset(name).card
    home = datasets_home() if to is None else as_path(to)
    folder = home / card.folder
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    if not card.download:
        raise MissingError(f"{name} cannot be fetched without a person: {card.advice}")
    waiting = home / ".downloads" / name
    arrived = [_download(card, index, waiting, progress) for index in range(len(card.download))]
    with _appearing(folder) as place:
        for file in arrived:
            _place(file, place)
    shutil.rmtree(waiting, ignore_errors=True)
    return folder


def _download(card: DatasetCard, index: int, waiting: Path, progress: Progress) -> Path:
    item = card.download[index]
    try:
        return files.download(item.url, waiting / item.filename, item.sha256, progress)
    except MissingError as error:
        raise MissingError(f"{error} Or by hand: {card.access}") from error


def _place(file: Path, folder: Path) -> None:
    """Unpack an archive into the folder, or move any other file there."""
    if archive.is_archive(file):
        archive.extract(file, folder)
        return
    try:
        shutil.move(file, folder / file.name)
    except OSError as error:
        raise files.write_error(folder / file.name, error) from error


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder next to `folder` that takes its name when the block ends well."""
    hidden = folder.with_name(f".{uuid4().hex[:8]}-{folder.name}")
    try:
        hidden.mkdir(parents=True)
        yield hidden
        _inner(hidden, folder.name).rename(folder)
    except OSError as error:
        raise files.write_error(folder, error) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _inner(place: Path, name: str) -> Path:
    """The dataset's own folder where the archive brought one ("name" or "name-<branch>")."""
    inside = [
        item
        for item in place.iterdir()
        if item.is_dir() and (item.name == name or item.name.startswith(f"{name}-"))
    ]
    return inside[0] if len(inside) == 1 else place
