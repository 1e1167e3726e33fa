"""The figure `heatmaps`: what spoke for the predictions of a few test images, right and wrong.

The heat maps are kept beside the figures, so that a report can be rebuilt without the images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hilum import files
from hilum.data import prepared_dataset
from hilum.explain import heatmap_sheets
from hilum.explain.heatmap_sheets import HeatmapStyle, Tile
from hilum.explain.render import Colour8
from hilum.report.figures.gallery import identity
from hilum.report.figures.registry import DrawnFigure, labelled
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank
from hilum.report.wording import class_name, code, label
from hilum.types import Grey8, HilumError, Stack8

MOST = 12  # images: some seconds on two cores
METHOD, TITLE = "gradcam", "Grad-CAM"
BY_MODEL = "heatmaps_by_model"
WIDE = 9.2  # inches: the page's full width
LISTED = ["cell", "sample_id", "label", "said", "probability"]
NEEDS = (
    "the model's folder, its test images, and a network with a spatial map (a convolutional one)"
)
NEEDS_BY_MODEL = (
    "networks with a spatial map (convolutional ones), and test films that none of them has learnt "
    "from"
)
RULE = (
    "Of each class, the right images whose probability lies in the middle of all right ones, and "
    "the wrong ones that the model was surest of"
)


@dataclass(frozen=True, slots=True)
class Maps:
    """Prepared films and their heat as a share of its maximum, both 0..255 (image, row, column)."""

    films: Stack8
    shares: Stack8


@dataclass(frozen=True, slots=True)
class Seen:
    """A film as one cell's network sees it, and the heat of what that says; both 0..255."""

    cell: str
    sample_id: str
    label: str
    said: str
    probability: float
    film: Grey8
    share: Grey8


def keep(folder: Path, rows: Sequence[Seen]) -> None:
    """Write `heatmaps_by_model.npz`, or no file where there is nothing to show."""
    path = folder / f"{BY_MODEL}.npz"
    path.unlink(missing_ok=True)
    if not rows:
        return
    told = pd.DataFrame([(r.cell, r.sample_id, r.label, r.said, r.probability) for r in rows])
    pictures = {f"film{i}": row.film for i, row in enumerate(rows)}
    pictures |= {f"share{i}": row.share for i, row in enumerate(rows)}
    table = np.array(told.set_axis(LISTED, axis=1).to_csv(index=False))
    with files.atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, table=table, **pictures)  # type: ignore[arg-type]


def by_model(run: RunFolder) -> DrawnFigure | None:
    """The same films under the network of every cell, a row each; None where none was kept."""
    try:
        with np.load(run.folder / "figures" / f"{BY_MODEL}.npz", allow_pickle=False) as kept:
            text = StringIO(str(kept["table"]))
            words = {"sample_id": "str", "label": "str", "said": "str"}
            # a class may be called NA
            table = pd.read_csv(text, dtype=words, keep_default_na=False, na_values=[""])
            tiles = [_tile_of(row, kept, i) for i, row in enumerate(table.to_dict("records"))]
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
    columns = table["sample_id"].nunique()
    page = heatmap_sheets.sheet(tiles, HeatmapStyle(), TITLE, columns)
    cells = table["cell"].nunique()
    return DrawnFigure(
        _page(page),
        table.assign(method=METHOD),
        f"{columns} films under {cells} networks, each beside its heat map. Values in the CSV.",
        f"{TITLE} of each network's own answer, a row per network; of each class the test film "
        "whose probability is the middle one, among those that no network has learnt from. Blue: "
        "right; orange: wrong.",
        "full",
        colours=0,
    )


def _tile_of(row: dict[str, Any], kept: Mapping[str, Any], i: int) -> Tile:
    right = row["said"] == row["label"]
    said = f"{class_name(row['said'])}, p = {row['probability']:.3f}"
    words = (said, label(str(row["cell"]), 52))
    return Tile(kept[f"film{i}"], kept[f"share{i}"].astype(np.float32) / 255, words, right)


def _page(page: Colour8) -> Figure:
    """A picture one to one on a figure of the page's full width."""
    dots = page.shape[1] / WIDE
    figure = blank(WIDE, page.shape[0] / dots, dots=round(dots))
    axes = figure.subplots()
    axes.imshow(page)
    axes.set_axis_off()
    return figure


def heatmaps(run: RunFolder) -> DrawnFigure | None:
    """Films and heat maps side by side; None where the model, images or a map are not there."""
    rows = picked(_tested(run), run.classes)
    maps = None if rows.empty else _stored(run, rows)
    if maps is None:
        return None
    tiles = [_tile(row, maps, i) for i, row in enumerate(rows.to_dict("records"))]
    return DrawnFigure(
        _page(heatmap_sheets.sheet(tiles, HeatmapStyle(), TITLE)),
        _listed(rows, maps),
        f"{len(rows)} films, each beside its heat map. Which they are stands in the CSV.",
        f"{TITLE} of the predicted class, by the stored model on test images that it was not "
        f"trained on. {RULE}. Blue: right; orange: wrong. A heat map says where the model looked, "
        "not that what lies there is disease.",
        "full",
        colours=0,
    )


def picked(predictions: pd.DataFrame | None, classes: Sequence[str]) -> pd.DataFrame:
    """The rows to show, by RULE, with `prediction`, `probability` and `right`."""
    if predictions is None or not classes:
        return pd.DataFrame()
    p = predictions[[f"p_{name}" for name in classes]].to_numpy()
    said = [classes[i] for i in p.argmax(axis=1)]
    table = predictions.assign(prediction=said, probability=p.max(axis=1))
    table["right"] = table["prediction"] == table["label"]
    table = table.sort_values(["probability", "sample_id"], ascending=[False, True])
    most = max(2, MOST // len(classes))
    parts = []
    for name in classes:
        mine = table[table["label"] == name]
        wrong, right = mine[~mine["right"]].head(most // 2), mine[mine["right"]]
        wanted = most - len(wrong)
        middle = max(0, (len(right) - wanted) // 2)
        parts += [right.iloc[middle : middle + wanted], wrong]
    return pd.concat(parts).head(MOST).reset_index(drop=True)


def _tested(run: RunFolder) -> pd.DataFrame | None:
    """Predictions of the stored model itself: its own fold and seed."""
    predictions, model = labelled(run), run.section("model")
    if predictions is None:
        return None
    for name in ("fold", "seed"):
        predictions = predictions[predictions[name] == model.get(name)]
    return predictions


def _stored(run: RunFolder, rows: pd.DataFrame) -> Maps | None:
    """The maps as kept beside the figures, made where those of these images are not there."""
    path = run.folder / "figures" / "heatmaps.npz"
    named = rows[["sample_id", "prediction"]].to_csv(index=False)
    key = files.stable_digest(METHOD, run.section("model").get("weights_digest"), named)
    if (kept := _read(path, key)) is not None:
        return kept
    maps = _made(run, rows)
    if maps is not None:
        path.parent.mkdir(exist_ok=True)
        with files.atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, films=maps.films, shares=maps.shares, key=np.array(key))
    return maps


def _read(path: Path, key: str) -> Maps | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Maps(kept["films"], kept["shares"]) if str(kept["key"]) == key else None
    except (OSError, ValueError, KeyError, BadZipFile):
        return None  # not there, or not ours: it is made anew


def _made(run: RunFolder, rows: pd.DataFrame) -> Maps | None:
    from hilum.explain import cam
    from hilum.explain import explainer as subjects
    from hilum.inference import model as models  # torch is only loaded where maps are made

    try:
        facts, pipeline, backbone, head = models.read(run.folder / "model")
        asked = subjects.of_parts(facts, backbone, head)
        cam.require(asked, METHOD, pipeline.shape)
        hashes = [run.sha256(str(name)) for name in rows["sample_id"]]
        films = prepared_dataset.prepared_images(rows.assign(sha256=hashes), pipeline)
    except (HilumError, OSError):
        return None
    wanted = [facts.classes.index(name) for name in rows["prediction"]]
    found = [cam.heat(asked, film, i, METHOD) for film, i in zip(films, wanted, strict=True)]
    shares = np.stack([cam.relative(one) for one in found])
    return Maps(np.stack(films), np.rint(shares * 255).astype(np.uint8))


def _tile(row: dict[str, Any], maps: Maps, i: int) -> Tile:
    film: Grey8 = maps.films[i]
    said, truth = class_name(str(row["prediction"])), class_name(str(row["label"]))
    first = f"{said}, p = {row['probability']:.3f}"
    second = f"{'right' if row['right'] else f'wrong, is {truth}'}; {identity(row)[0]}"
    share = maps.shares[i].astype(np.float32) / np.float32(255)
    return Tile(film, share, (first, second), bool(row["right"]))


def _listed(rows: pd.DataFrame, maps: Maps) -> pd.DataFrame:
    """Which images stand where, for which class, and whether their map is empty."""
    at = range(len(rows))
    return pd.DataFrame(
        {
            "row": [i // heatmap_sheets.COLUMNS for i in at],
            "column": [i % heatmap_sheets.COLUMNS for i in at],
            "sample_id": rows["sample_id"],
            "code": [code("image", str(i)) for i in rows["sample_id"]],
            "label": rows["label"],
            "class": rows["prediction"],
            "probability": rows["probability"],
            "right": rows["right"],
            "method": METHOD,
            "empty": [not share.any() for share in maps.shares],
        }
    )
