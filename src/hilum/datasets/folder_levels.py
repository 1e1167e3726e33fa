"""What the folders above an image say: official part, class, and whether it is a mask."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from hilum.data import missing
from hilum.datasets import class_names, part_folders
from hilum.datasets.vocabulary import fold_name, part_name
from hilum.images import is_text
from hilum.types import HilumError, LeftOut

MASK_FOLDERS = {"mask", "masks", "lung masks", "lung_masks", "lungmasks"}
PLAIN_FOLDERS = {"image", "images", "imgs"} | MASK_FOLDERS  # these never name a class
Means: TypeAlias = Callable[[str], str | None]  # a folder's name -> its part of a split


@dataclass(frozen=True, slots=True)
class Levels:
    """Rows with path, finding, label, official_part, mask_path; what was left out; notes."""

    rows: pd.DataFrame
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Folder:
    """What the folders above an image say; shared by all images in them."""

    part: str | None
    finding: str | None
    meaning: tuple[str, ...]
    is_mask: bool


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    folder: _Folder

    @property
    def twin(self) -> tuple[str, ...]:
        """The same for an image and its mask."""
        return (*self.folder.meaning, self.path.stem.lower())


def read_levels(root: Path, paths: Sequence[Path], fewest: int = 2) -> Levels:
    """Place every image of `paths` by the folders between `root` and it.

    The layout is [part/]<class>/**/image or <class>/<part>/**/image, with `images` and `masks`
    folders anywhere between; a mask belongs to the image of the same stem. Raises HilumError
    unless there are `fewest` classes.
    """
    homes = dict.fromkeys(path.parent for path in paths)
    folders, doubts = _parts_first({home: home.relative_to(root).parts for home in homes})
    meanings = [_meaning(parts) for parts in folders.values()]
    parted = _parted({meaning[0] for meaning in meanings if meaning})
    said = {home: _said(parts, parted) for home, parts in folders.items()}
    placed = [_File(path, said[path.parent]) for path in paths]
    doubts += [] if parted else _alike(meanings)
    doubts += _unused_folders(placed) if parted else []
    masks = {file.twin: str(file.path) for file in placed if file.folder.is_mask}
    images = [file for file in placed if not file.folder.is_mask]
    rows = _rows([file for file in images if file.folder.finding], masks)
    classes, notes = class_names.classes(rows["finding"])
    rows = rows.assign(label=rows["finding"].map(classes).astype(object))
    empty = _empty_classes(root, set(rows["finding"]), parted)
    left_out = (*_unplaced(images, parted), *_lonely(images, masks), *empty)
    if fewest > len(set(rows["label"])) or (fewest == 1 and _inner(root, rows)):
        _require_two(root, rows, len(images), left_out)
    return Levels(rows, left_out, (*notes, *doubts, *_doubtful(set(rows["finding"]))))


def _doubtful(findings: set[str]) -> list[str]:
    """Folders are made on purpose: one that is called NA or unknown is a class, and a note."""
    odd = sorted(finding for finding in findings if missing.is_missing(finding))
    if not odd:
        return []
    return [
        f"Folder {', '.join(map(repr, odd))} counts as a class; if its images have no label, move "
        "it out of the folder of classes."
    ]


def _meaning(parts: Sequence[str]) -> list[str]:
    return [part for part in parts if part.lower() not in PLAIN_FOLDERS]


def _parts_first(
    folders: Mapping[Path, tuple[str, ...]],
) -> tuple[Mapping[Path, tuple[str, ...]], list[str]]:
    """Where the parts lie inside every class folder, as in <class>/train/, they are put first."""
    inside = [_meaning(parts)[1:2] for parts in folders.values() if _meaning(parts)]
    names = {name for folder in inside for name in folder}
    numbered = _are_folds(names)
    words = {name: fold_name(name) if numbered else part_name(name) for name in names}
    if not (numbered or "train" in words.values()) or len(set(words.values())) < 2:
        return folders, []
    if not all(inside) or not all(words.values()):
        named = ", ".join(sorted(name for name, part in words.items() if part))
        note = (
            f"Folders inside class folders ({named}) count as no split: not every image is in one."
        )
        return folders, [note]
    return {path: _swapped(parts) for path, parts in folders.items()}, []


def _unused_folders(placed: Sequence[_File]) -> list[str]:
    """Notes on part folders without class folders, and on folders next to them that are no part."""
    images = [file.folder for file in placed if not file.folder.is_mask]
    kept = [folder.part for folder in images if folder.finding]
    notes = part_folders.lost_parts((one.part for one in images), kept, "no class folder in it")
    tops = [folder.meaning[0] for folder in images if not folder.part and folder.meaning]
    return notes + [
        f"Folder {name!r} is neither train, validation nor test: its {tops.count(name):,} images "
        "are left out."
        for name in sorted(set(tops))
    ]


def _swapped(parts: tuple[str, ...]) -> tuple[str, ...]:
    meaning = _meaning(parts)
    plain = [part for part in parts if part.lower() in PLAIN_FOLDERS]
    return (*meaning[1:2], *meaning[:1], *meaning[2:], *plain)


def _parted(top: set[str]) -> Means | None:
    """What tells the part that an uppermost folder is; None where these are the classes."""
    if _are_folds(top):
        return fold_name
    parts = {part_name(name) for name in top}
    return part_name if parts and ("train" in parts or None not in parts) else None


def _are_folds(names: Collection[str]) -> bool:
    return len(names) > 1 and all(map(fold_name, names))


def _alike(places: Sequence[Sequence[str]]) -> list[str]:
    """A note where every class folder holds the same folders: these may be the classes."""
    inside: dict[str, set[str]] = {}
    for meaning in places:
        if meaning:
            inside.setdefault(meaning[0], set()).add("/".join(meaning[1:2]))
    same = next(iter(inside.values()), set())
    if len(inside) < 2 or len(same) < 2 or any(folders != same for folders in inside.values()):
        return []
    upper, lower = (", ".join(sorted(filter(None, names))) for names in (inside, same))
    return [
        f"The uppermost folders are the classes ({upper}); the folders that each of them holds "
        f"({lower}) are not used. If those are the classes, give labels with --labels CSV, or sort "
        "the images by class first."
    ]


def _said(parts: Sequence[str], parted: Means | None) -> _Folder:
    meaning = _meaning(parts)
    part = parted(meaning[0]) if parted and meaning else None
    below = meaning[1:] if parted else meaning
    finding = below[0] if below and (part or not parted) else None
    return _Folder(part, finding, tuple(meaning), any(n.lower() in MASK_FOLDERS for n in parts))


def _rows(images: Sequence[_File], masks: dict[tuple[str, ...], str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": [str(file.path) for file in images],
            "finding": [file.folder.finding for file in images],
            "official_part": [file.folder.part for file in images],
            "mask_path": [masks.get(file.twin) if masks else None for file in images],
        },
        dtype=object,
    )


def _unplaced(images: Sequence[_File], parted: Means | None) -> list[LeftOut]:
    where = "train, validation and test folders with class folders" if parted else "class folders"
    reason = f"not inside the {where}"
    return [LeftOut(str(file.path), reason) for file in images if file.folder.finding is None]


def _lonely(images: Sequence[_File], masks: dict[tuple[str, ...], str]) -> list[LeftOut]:
    twins = {file.twin for file in images} if masks else set()
    reason = "a mask without an image of the same name"
    return [LeftOut(path, reason) for twin, path in masks.items() if twin not in twins]


def _empty_classes(root: Path, used: set[str], parted: Means | None) -> list[LeftOut]:
    homes = [item for item in _folders(root) if parted(item.name)] if parted else [root]
    return [
        LeftOut(f"class folder {item}", "no image in it")
        for home in homes
        for item in _folders(home)
        if item.name not in used and is_text(item)  # what lies in others is left out already
    ]


def _folders(home: Path) -> list[Path]:
    return [
        item
        for item in sorted(home.iterdir())
        if item.is_dir()
        and not item.name.startswith((".", "__"))
        and item.name.lower() not in PLAIN_FOLDERS
    ]


def _require_two(root: Path, rows: pd.DataFrame, images: int, left_out: Sequence[LeftOut]) -> None:
    """Raise HilumError unless the rows are of two classes; say what there was instead."""
    classes = sorted(set(rows["label"]))
    if len(classes) > 1:
        return
    empty = [item.what for item in left_out if item.what.startswith("class folder")]
    beside = f", and no image in {', '.join(empty)}" if empty else ""
    got = (
        f"one class only, {classes[0]!r}"
        if classes
        else f"{images} image{'' if images == 1 else 's'} in no class folder"
    )
    raise HilumError(
        f"{root} must have a folder of images for each of two or more classes; "
        f"got {got}{beside}; {_hint(root, rows)}"
    )


def _hint(root: Path, rows: pd.DataFrame) -> str:
    if inner := _inner(root, rows):
        return f"did you mean {inner}?"
    return (
        "sort them into class folders, name a CSV table with a path and a label column, or give "
        "labels with --labels CSV."
    )


def _inner(root: Path, rows: pd.DataFrame) -> Path | None:
    """The only class folder, where it holds folders that may be the classes."""
    names = set(rows["finding"])
    inner = root / names.pop() if len(names) == 1 else root
    return inner if inner != root and inner.is_dir() and len(_folders(inner)) > 1 else None
