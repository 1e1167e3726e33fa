"""Removes the outputs of an earlier run from `--out` before another one begins there.

`model/`, `manifest.parquet` and `recipe.toml` stay until they are replaced: the new run may read
them. Without `results.json` they are no finished run.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

TABLES = (
    "results.json",  # first: where it exists, all the others do
    "report.html",
    "predictions.csv",
    "source_predictions.csv",
    "later_predictions.csv",
    "splits.csv",
    "history.csv",
    "left_out.csv",
    "across_sources.csv",
    "look_alikes.csv",
    "findings.csv",
    "blacked_out.npz",
    "basis.parquet",
)
ARRAYS = ("heatmaps.npz", "heatmaps_by_model.npz")
THUMBNAILS = "thumbnails/" + "[0-9a-f]" * 24 + ".jpg"


def clear(out: Path, tasks: bool = True) -> None:
    """Remove the tables and figures that an earlier run wrote to `out`, and to its tasks' folders.

    Nothing is touched in a folder that holds no run.
    """
    if not (out / "results.json").is_file() and not (out / "work").is_dir():
        return
    for path in [*_masks(out), *(out / name for name in TABLES), *_figures(out / "figures")]:
        path.unlink(missing_ok=True)
    for folder in (out / "tasks").glob("*") if tasks else ():
        clear(folder)


def _figures(folder: Path) -> Iterator[Path]:
    """Figures with the table that each of them has, arrays and thumbnails: nothing of others."""
    for table in folder.glob("*.csv"):
        yield from (table, table.with_suffix(".png"))
    yield from (folder / name for name in ARRAYS)
    yield from folder.glob(THUMBNAILS)


def _masks(out: Path) -> list[Path]:
    """Masks that a run on lungs drew, as its `predictions.csv` lists them."""
    try:
        masks = pd.read_csv(out / "predictions.csv", usecols=["found"])["found"]
    except (OSError, ValueError):  # no such table, or no such column
        return []
    return [out / str(name) for name in masks if not Path(str(name)).is_absolute()]
