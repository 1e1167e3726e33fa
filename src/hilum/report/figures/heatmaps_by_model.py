"""The same few test films under the network of every model, each next to its heat map.

The heat maps are made while the folds' models are there, and kept next to the figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from hilum import files
from hilum.explain import heatmap_sheets
from hilum.explain.heatmap_sheets import HeatmapStyle, HeatmapTile
from hilum.report.figures.base import DrawnFigure
from hilum.report.figures.heatmap_page import METHOD, TITLE, sheet_figure
from hilum.report.run_folder import RunFolder
from hilum.report.wording import class_name, probability_words, short_label
from hilum.types import Grey8

NAME = "heatmaps_by_model"
LISTED = ["cell", "sample_id", "label", "said", "probability"]
NEEDS = (
    "networks with a spatial map (convolutional ones), and test films that none of them was "
    "trained on"
)


@dataclass(frozen=True, slots=True)
class SeenByCell:
    """A film as one cell's network sees it, and the heat of what that says; both 0..255."""

    cell: str
    sample_id: str
    label: str
    said: str
    probability: float
    film: Grey8
    share: Grey8


def keep_heatmaps(folder: Path, rows: Sequence[SeenByCell]) -> None:
    """Write `heatmaps_by_model.npz`, or no file where there is nothing to show."""
    path = folder / f"{NAME}.npz"
    path.unlink(missing_ok=True)
    if not rows:
        return
    listed = pd.DataFrame([(r.cell, r.sample_id, r.label, r.said, r.probability) for r in rows])
    pictures = {f"film{i}": row.film for i, row in enumerate(rows)}
    pictures |= {f"share{i}": row.share for i, row in enumerate(rows)}
    table = np.array(listed.set_axis(LISTED, axis=1).to_csv(index=False))
    with files.atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, table=table, **pictures)  # type: ignore[arg-type]


def draw_heatmaps_by_model(run: RunFolder) -> DrawnFigure | None:
    """The same films under the network of every cell, a row each; None where none was kept."""
    try:
        with np.load(run.folder / "figures" / f"{NAME}.npz", allow_pickle=False) as kept:
            text = StringIO(str(kept["table"]))
            words = {"sample_id": "str", "label": "str", "said": "str"}
            # a class may be called NA
            table = pd.read_csv(text, dtype=words, keep_default_na=False, na_values=[""])
            tiles = [_tile_of(row, kept, i) for i, row in enumerate(table.to_dict("records"))]
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
    columns = table["sample_id"].nunique()
    page = heatmap_sheets.draw_sheet(tiles, HeatmapStyle(), TITLE, columns)
    cells = table["cell"].nunique()
    return DrawnFigure(
        sheet_figure(page),
        table.assign(method=METHOD),
        f"{columns} films under {cells} networks, each next to its heat map. Values in the CSV.",
        f"{TITLE} of each network's own answer, a row per network; of each class the test film "
        "whose probability is the middle one, among those that no network was trained on. Blue: "
        "correct; orange: wrong.",
        "full",
        colours=0,
        films=True,
    )


def _tile_of(row: dict[str, Any], kept: Mapping[str, Any], i: int) -> HeatmapTile:
    right = row["said"] == row["label"]
    answer = f"{class_name(row['said'])}, {probability_words(row['probability'])}"
    words = (answer, short_label(str(row["cell"]), 52))
    return HeatmapTile(kept[f"film{i}"], kept[f"share{i}"].astype(np.float32) / 255, words, right)
