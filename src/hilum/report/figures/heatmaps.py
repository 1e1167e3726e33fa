"""The figure `heatmaps`: what spoke for the predictions of a few test images, right and wrong.

The heat maps are kept next to the figures, so that a report can be rebuilt without the images.
Grad-CAM: Selvaraju et al. 2020, doi:10.1007/s11263-019-01228-7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from hilum import files
from hilum.data import prepared_dataset
from hilum.explain import heatmap_sheets
from hilum.explain.heatmap_sheets import HeatmapStyle, HeatmapTile
from hilum.report.figures import letterbox_bars
from hilum.report.figures.base import DrawnFigure, labelled
from hilum.report.figures.gallery import identity
from hilum.report.figures.heatmap_page import METHOD, TITLE, sheet_figure
from hilum.report.run_folder import RunFolder
from hilum.report.wording import class_name, code, probability_words
from hilum.types import Grey8, HilumError, Stack8

MOST = 12  # images: some seconds on two cores
NEEDS = (
    "the model's folder, its test images, and a network with a spatial map (a convolutional one)"
)
RULE = (
    "of each class, correctly classified images of typical probability, and the model's most "
    "confident mistakes"
)
MUCH = 0.1  # of a film's heat: so much on the bars is pointed out


@dataclass(frozen=True, slots=True)
class Maps:
    """Prepared films and their heat as a share of its maximum, both 0..255 (image, row, column)."""

    films: Stack8
    shares: Stack8


def draw_heatmaps(run: RunFolder) -> DrawnFigure | None:
    """Films and heat maps side by side; None where the model, images or a map are not there."""
    rows = select_images(_predictions_of_model(run), run.classes)
    maps = None if rows.empty else _stored_maps(run, rows)
    if maps is None:
        return None
    on_bars = _heat_on_bars(run, maps)
    tiles = [_tile(row, maps, i, on_bars[i]) for i, row in enumerate(rows.to_dict("records"))]
    return DrawnFigure(
        sheet_figure(heatmap_sheets.draw_sheet(tiles, HeatmapStyle(), TITLE)),
        _listing(rows, maps).assign(heat_on_bars=on_bars),
        f"{len(rows)} films, each next to its heat map. The CSV lists them.",
        f"{TITLE} of the predicted class, by the stored model on test images that it was not "
        f"trained on. Shown: {RULE}. Blue: correct; orange: wrong.{_bars_pointed_out(on_bars)} "
        "A heat map says where the model looked, not that what lies there is disease.",
        "full",
        colours=0,
        films=True,
    )


def _heat_on_bars(run: RunFolder, maps: Maps) -> list[float]:
    """Of each film the share of its heat that lies on letterbox bars."""
    fill = letterbox_bars.fill_level(run.section("model"))
    return [
        letterbox_bars.heat_on_bars(film, share, fill)
        for film, share in zip(maps.films, maps.shares, strict=True)
    ]


def _bars_pointed_out(on_bars: Sequence[float]) -> str:
    """That heat lies where nothing of the patient is, where it does."""
    hot = [share for share in on_bars if share >= MUCH]
    if not hot:
        return ""
    return (
        f" On {len(hot)} of {len(on_bars)} films {MUCH:.0%} or more of the heat lies on the grey "
        f"bars that pad a film to a square (at most {max(hot):.0%}). Nothing of the patient is "
        "there: the model may be using the shape of the film."
    )


def select_images(predictions: pd.DataFrame | None, classes: Sequence[str]) -> pd.DataFrame:
    """The rows to show, by RULE, with `prediction`, `probability` and `right`."""
    if predictions is None or not classes:
        return pd.DataFrame()
    p = predictions[[f"p_{name}" for name in classes]].to_numpy()
    predicted = [classes[i] for i in p.argmax(axis=1)]
    table = predictions.assign(prediction=predicted, probability=p.max(axis=1))
    table["right"] = table["prediction"] == table["label"]
    table = table.sort_values(["probability", "sample_id"], ascending=[False, True])
    most = max(2, MOST // len(classes))
    parts = []
    for name in classes:
        own_rows = table[table["label"] == name]
        wrong, right = own_rows[~own_rows["right"]].head(most // 2), own_rows[own_rows["right"]]
        room = most - len(wrong)
        middle = max(0, (len(right) - room) // 2)
        parts += [right.iloc[middle : middle + room], wrong]
    return pd.concat(parts).head(MOST).reset_index(drop=True)


def _predictions_of_model(run: RunFolder) -> pd.DataFrame | None:
    """Predictions of the stored model itself: its own fold and seed."""
    predictions, model = labelled(run), run.section("model")
    if predictions is None:
        return None
    for name in ("fold", "seed"):
        predictions = predictions[predictions[name] == model.get(name)]
    return predictions


def _stored_maps(run: RunFolder, rows: pd.DataFrame) -> Maps | None:
    """The maps as kept next to the figures, made where those of these images are not there."""
    path = run.folder / "figures" / "heatmaps.npz"
    named = rows[["sample_id", "prediction"]].to_csv(index=False)
    key = files.stable_digest(METHOD, run.section("model").get("weights_digest"), named)
    if (kept := _read(path, key)) is not None:
        return kept
    maps = _compute_maps(run, rows)
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
        return None  # not there, or not ours: it is made again


def _compute_maps(run: RunFolder, rows: pd.DataFrame) -> Maps | None:
    from hilum.explain import cam, explainer, render
    from hilum.inference import model_folder  # torch is only loaded where maps are made

    try:
        facts, pipeline, backbone, head = model_folder.read_parts(run.folder / "model")
        subject = explainer.of_parts(facts, backbone, head)
        cam.require(subject, METHOD, pipeline.shape)
        hashes = [run.sha256(str(name)) for name in rows["sample_id"]]
        films = prepared_dataset.prepared_images(rows.assign(sha256=hashes), pipeline)
    except (HilumError, OSError):
        return None
    predicted = [facts.classes.index(name) for name in rows["prediction"]]
    heats = [cam.heat(subject, film, i, METHOD) for film, i in zip(films, predicted, strict=True)]
    shares = np.stack([render.relative(one) for one in heats])
    return Maps(np.stack(films), np.rint(shares * 255).astype(np.uint8))


def _tile(row: dict[str, Any], maps: Maps, i: int, on_bars: float) -> HeatmapTile:
    film: Grey8 = maps.films[i]
    predicted, truth = class_name(str(row["prediction"])), class_name(str(row["label"]))
    first = f"{predicted}, {probability_words(row['probability'])}"
    second = "correct" if row["right"] else f"wrong; truth {truth}"
    second += f"; {on_bars:.0%} of heat on bars" if on_bars >= MUCH else f"; {identity(row)[0]}"
    share = maps.shares[i].astype(np.float32) / np.float32(255)
    return HeatmapTile(film, share, (first, second), bool(row["right"]))


def _listing(rows: pd.DataFrame, maps: Maps) -> pd.DataFrame:
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
