"""A folder takes another's place as a whole, or the old one stays; what was left behind goes."""

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hilum import files, phantom
from hilum.experiment import segmentation
from hilum.files import whole_folder
from hilum.preprocess.lungs import segmenter
from hilum.types import HilumError


def put(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a", "b"):
        (folder / name).write_text(text)


def replace(target: Path) -> None:
    with files.replaced_folder(target) as whole:
        put(whole, "new")


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


OLD = {"model/a": "old", "model/b": "old"}
NEW = {"model/a": "new", "model/b": "new"}


def refusing(real: Callable[..., Any], at: int) -> Callable[..., Any]:
    done: list[object] = []

    def refuse(*given: Any) -> Any:
        done.append(given)
        if len(done) == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*given)

    return refuse


@pytest.mark.parametrize(
    ("place", "name", "at"),
    [(whole_folder, "synchronise", at) for at in (1, 2, 3)]
    + [(Path, "rename", at) for at in (1, 2)],
)
def test_a_refused_step_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str, at: int
) -> None:
    put(tmp_path / "model", "old")
    with monkeypatch.context() as patch:
        patch.setattr(place, name, refusing(getattr(place, name), at))
        with pytest.raises(OSError, match="rror"):
            replace(tmp_path / "model")
    assert texts(tmp_path) == OLD
    replace(tmp_path / "model")
    assert texts(tmp_path) == NEW


def test_a_block_that_fails_leaves_the_old_folder_or_none(tmp_path: Path) -> None:
    for before in ({}, OLD):
        with pytest.raises(FileNotFoundError), files.replaced_folder(tmp_path / "model") as whole:
            shutil.copy(tmp_path / "none", whole)
        assert texts(tmp_path) == before
        put(tmp_path / "model", "old")


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    for name in (".model-01234567", ".model-01234567.former"):
        put(tmp_path / name, "half")
    replace(tmp_path / "model")
    assert texts(tmp_path) == NEW


def test_a_lung_network_is_published_whole_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, out = tmp_path / "fold", tmp_path / "out"
    for folder, text in ((fold, "new"), (out / "model", "old")):
        folder.mkdir(parents=True)
        (folder / segmenter.WEIGHTS).write_text(text)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy", refusing(shutil.copy, 1))
        with pytest.raises(OSError, match="rror"):
            segmentation._publish(fold, out)
    assert [*texts(out).values()] == ["old"]
    segmentation._publish(fold, out)
    assert [*texts(out).values()] == ["new"]


def test_films_drawn_again_remove_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / ".01234567-phantom.csv").write_text("half")
    phantom.write_phantom(phantom.Request(images=2, size=64), tmp_path)
    assert not [*tmp_path.glob(".*")]


def test_an_export_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    put(tmp_path / ".export-abc", "half")
    with pytest.raises(HilumError), files.moved_when_whole(tmp_path, NAMES):
        raise HilumError("no proof")
    assert texts(tmp_path) == {}


NAMES = ("models/weights", "docs/README.md", "config")


@pytest.mark.parametrize("at", range(1, 5))
@pytest.mark.parametrize("call", ["rename", "unlink"])
def test_half_of_an_export_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, at: int
) -> None:
    """Whatever step is refused: what a reader looks for has all of its own files, or is gone."""
    write(tmp_path, "old")
    (tmp_path / "images.txt").write_text("the user's")
    real, seen = getattr(Path, call), []

    def refuse(path: Path, *args: Any, **more: Any) -> Any:
        seen.append(path)
        if len(seen) == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, refuse)
        with suppress(HilumError), files.moved_when_whole(tmp_path, NAMES) as place:
            write(place, "new")
    assert len(seen) >= min(at, len(NAMES))
    left = texts(tmp_path)
    assert left.pop("images.txt") == "the user's"
    files.require_own_export(tmp_path, NAMES, b"")  # the next one goes on from here
    if "config" in left:
        assert left.keys() == set(NAMES)
        assert len(set(left.values())) == 1


@pytest.mark.parametrize("theirs", NAMES)
def test_an_export_replaces_no_file_of_somebody_else(tmp_path: Path, theirs: str) -> None:
    files.require_own_export(tmp_path, NAMES, b"hilum")
    write(tmp_path, "by hilum")
    files.require_own_export(tmp_path, NAMES, b"hilum")
    for name in NAMES:
        if name != theirs:
            (tmp_path / name).unlink()
    (tmp_path / theirs).write_text("by another")
    with pytest.raises(HilumError, match=f"which has another {theirs}; choose an empty folder"):
        files.require_own_export(tmp_path, NAMES, b"hilum")


def write(folder: Path, text: str) -> None:
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
