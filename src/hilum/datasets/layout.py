"""What lies in a dataset's folder: one walk for the files, and the tables as text."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hilum import images
from hilum.datasets.tally import Tally
from hilum.types import HilumError, as_path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm")
MISPLACED = "not where the published layout has its images"


@dataclass(frozen=True, slots=True)
class Listing:
    """The image files below a folder: paths relative to `root` with "/" between, sorted."""

    root: Path
    images: tuple[str, ...]

    def below(self, part: str, tally: Tally) -> "Listing":
        """The images in the folder `part`; the others are counted in `tally`."""
        inside = tuple(path for path in self.images if path.startswith(f"{part}/"))
        tally.skip(MISPLACED, sorted(set(self.images) - set(inside)), "file")
        return Listing(self.root, inside)

    def by_name(self, tally: Tally) -> dict[str, str]:
        """File name -> path below the root; a name that comes again is counted as left out."""
        table: dict[str, str] = {}
        again = [path for path in self.images if table.setdefault(_name(path), path) != path]
        tally.skip("another file of the same name came first", again, "file")
        return table


def walk(folder: Path, tally: Tally | None = None) -> Listing:
    """Every image below `folder`, by suffix; hidden names are not seen.

    One pass over the directory entries, no file is opened. Images whose name is no UTF-8 are
    counted in `tally`: no table can name them.
    """
    root = as_path(folder)
    paths = sorted(path for path in _files(root) if _is_image(path))
    named = tuple(path for path in paths if images.is_text(path))
    if tally is not None:
        unnamed = [images.printable(path) for path in paths if not images.is_text(path)]
        tally.skip(images.NO_TEXT, unnamed, "file")
    return Listing(root, named)


def find_files(table: pd.DataFrame, listing: Listing, column: str, tally: Tally) -> pd.DataFrame:
    """`table` with `file`, its image's path below the root by file name, missing where absent.

    Images that no row names are counted in `tally`.
    """
    by_name = listing.by_name(tally)
    named = set(table[column])
    unlisted = [path for name, path in by_name.items() if name not in named]
    tally.skip("no row of the table names this image", unlisted, "file")
    return table.assign(file=table[column].map(by_name).astype(object))


def present(table: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    """The rows whose image was found; the others are counted in `tally`."""
    return tally.keep(table, table["file"].notna(), "its image is not in the folder")


def match_paths(listing: Listing, pattern: str, tally: Tally) -> pd.DataFrame:
    """One row per image whose path below the root matches: `file` and the pattern's groups.

    Images that do not match are counted in `tally`.
    """
    form = re.compile(pattern)
    hits = [(path, form.fullmatch(path)) for path in listing.images]
    outside = [path for path, hit in hits if hit is None]
    tally.skip(MISPLACED, outside, "file")
    rows = [{"file": path, **hit.groupdict()} for path, hit in hits if hit is not None]
    return pd.DataFrame(rows, columns=["file", *form.groupindex])


def pair_masks(
    images: pd.DataFrame, masks: pd.DataFrame, keys: list[str], tally: Tally
) -> pd.DataFrame:
    """`images` with `mask_path`, the file of the mask that agrees in `keys`, missing if none does.

    Masks without an image are counted in `tally`.
    """
    named = masks[[*keys, "file"]].rename(columns={"file": "mask_path"}).drop_duplicates(keys)
    paired = images.merge(named, on=keys, how="left")
    alone = sorted(set(masks["file"]) - set(paired["mask_path"].dropna()))
    tally.skip("a mask without an image", alone, "file")
    return paired


def read_table(path: Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """A publisher's CSV as text, "" where a cell is empty; only `columns` where any are named.

    Raises HilumError where the file cannot be read as a table or lacks a column.
    """
    required = tuple(columns)
    try:
        table = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            encoding_errors="replace",
            usecols=(lambda name: name.strip() in required) if required else None,
        )
    except (OSError, ValueError) as error:
        raise HilumError(f"{path} must be a CSV table; got {error}; fetch it again.") from error
    table.columns = table.columns.str.strip()
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise HilumError(f"{path} must have the column {missing[0]!r}; fetch the table again.")
    return table.fillna("").apply(lambda column: column.str.strip())


def header(path: Path) -> frozenset[str]:
    """The column names in the first line of a CSV file; empty where there is no such file."""
    if not path.is_file():
        return frozenset()
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        return frozenset(name.strip().strip('"') for name in lines.readline().split(","))


def has(folder: Path, *parts: str) -> bool:
    """Whether every one of `parts` is a folder below `folder`."""
    return all((folder / part).is_dir() for part in parts)


def _files(root: Path) -> Iterable[str]:
    entered: set[Path] = set()  # targets of links, so that no loop is walked
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if _enter(Path(folder, name), entered)]
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        yield from (prefix + name for name in files if not name.startswith("."))


def _enter(folder: Path, entered: set[Path]) -> bool:
    """Not into hidden folders and archive leftovers; through a link once, and never back up."""
    if folder.name.startswith((".", "__MACOSX")):
        return False
    if not folder.is_symlink():
        return True
    target = folder.resolve()
    again = target in entered or folder.parent.resolve().is_relative_to(target)
    entered.add(target)
    return not again


def _is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_SUFFIXES)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
