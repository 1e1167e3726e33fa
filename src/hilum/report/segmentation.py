"""The report of a run that trained lung masks: one page, a training curve, sheets of masks."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from hilum import files, images
from hilum.report import figure_csv, render, sections, style
from hilum.report.contact_sheet import mosaic
from hilum.report.figures import gallery
from hilum.report.palette import OKABE_ITO
from hilum.report.run_folder import RunFolder, read_run
from hilum.report.wording import number, plain_value, prose
from hilum.types import NOTICE, Grey8, HilumError

SHOWN, COLUMNS = 8, 4  # films on a sheet, and in a row of it
SIDE = 220  # pixels of a film's place
SHEETS = {"best": "the best", "median": "around the median", "worst": "the worst"}
LINES = {"train": ("-", "blue"), "validation": ("--", "vermillion")}
TRUE, PREDICTED = (
    (255, 160, 0),
    (0, 215, 255),
)  # RGB of the reference's outline and of the network's


def build_segmentation_report(run_folder: Path) -> Path:
    """Write `report.html` and `figures/` from a finished run's files, and return the page's path.

    Raises MissingError without `results.json`, HilumError for a file that cannot be read.
    """
    run = read_run(run_folder)
    target = run.folder / "report.html"
    with files.atomic_write(target) as draft:
        draft.write_text(_page(run), encoding="utf-8")
    return target


def _page(run: RunFolder) -> str:
    scores = run.rows("scores")
    values = {
        "title": str(run.results.get("title") or run.results.get("recipe") or run.folder.name),
        "recipe": str(run.results.get("recipe") or ""),
        "date": sections.date(run),
        "notice": str(run.results.get("notice") or NOTICE),
        "verdict": prose(str(run.results.get("verdict") or "")),
        "scores": [_row(score) for score in scores],
        "published": [{k: plain_value(v) for k, v in row.items()} for row in run.rows("published")],
        "figures": _figures(run),
        "sets": sections.sets(run),
        "division": sections.division(run),
        "left_out": sections.left_out(run),
        "model": sections.pairs(run.section("model")),
        "limits": [prose(str(limit)) for limit in run.results.get("limits") or []],
        "environment": sections.pairs(run.section("environment")),
        "replication": prose(str(run.results.get("replication") or "")),
    }
    return render.render_template("masks.html.j2", values, render.roots(run))


def _row(score: dict[str, Any]) -> dict[str, str]:
    low, high = score.get("low"), score.get("high")
    return {
        "name": "Dice" if score["name"] == "dice" else "Masks that pass their check",
        "of": str(score["class"]),
        "value": number(score["value"], 4),
        "interval": "" if low is None else f"{low:.4f} to {high:.4f}",
        "n": str(score["n"]),
    }


def _figures(run: RunFolder) -> list[dict[str, str]]:
    """The training curve and the three sheets, as far as their data are there."""
    home, figures = run.folder / "figures", []
    if run.history is not None:
        path = style.save_figure(curve(run.history), run.history, home, "training")
        figures.append(
            _embedded(path, "Loss and Dice by epoch; the weights of the best validation Dice stay.")
        )
    if run.predictions is not None:
        ordered = run.predictions.sort_values("dice", ascending=False, kind="stable")
        for name, words in SHEETS.items():
            rows = _rows_of_sheet(ordered, name)
            path = draw_mask_sheet(run, rows, home / f"{name}.png")
            figure_csv.write_figure_csv(rows, home / f"{name}.csv")
            caption = f"Test images, {words} by Dice: reference orange, network light blue."
            figures.append(_embedded(path, caption))
    return figures


def _embedded(path: Path, caption: str) -> dict[str, str]:
    return {"uri": gallery.data_uri(path), "caption": caption, "name": path.stem}


def _rows_of_sheet(ordered: pd.DataFrame, name: str) -> pd.DataFrame:
    """SHOWN rows of a table that begins with the best."""
    middle = max(0, (len(ordered) - SHOWN) // 2)
    starts = {"best": 0, "median": middle, "worst": max(0, len(ordered) - SHOWN)}
    return ordered.iloc[starts[name] : starts[name] + SHOWN]


def curve(history: pd.DataFrame) -> Figure:
    """Loss and Dice of every training by epoch."""
    with style.style():
        figure = style.blank(9.2, 3.2)
        for axes, name in zip(figure.subplots(1, 2), ("loss", "dice"), strict=True):
            for (part, fold, seed), rows in history.groupby(["part", "fold", "seed"]):
                line, colour = LINES[str(part)]
                first = (fold, seed) == (history["fold"].iloc[0], history["seed"].iloc[0])
                axes.plot(
                    rows["epoch"] + 1,
                    rows[name],
                    line,
                    color=OKABE_ITO[colour],
                    label=str(part) if first else None,
                    linewidth=1.2,
                )
            axes.set(title=name.capitalize(), xlabel="Epoch")
            axes.legend()
    return figure


def draw_mask_sheet(run: RunFolder, rows: pd.DataFrame, path: Path) -> Path:
    """A PNG with one film per row of predictions, both outlines on it, its Dice below."""
    places = [_place(run, row) for row in rows.to_dict("records")]
    sheet = cv2.cvtColor(mosaic(places, (SIDE, SIDE, 3), COLUMNS), cv2.COLOR_RGB2BGR)
    with files.atomic_write(path, synced=False) as draft:
        draft.write_bytes(cv2.imencode(path.suffix, sheet)[1].tobytes())
    return path


def _place(run: RunFolder, row: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """(SIDE, SIDE, 3): a film with its outlines, or grey where the film is not at hand."""
    out = np.full((SIDE, SIDE, 3), 200, np.uint8)
    try:
        film = gallery.eight_bits(images.read(row["path"], at_least=SIDE).pixels)
        out[:] = cv2.resize(film, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[:, :, None]
        for file, colour in ((row["mask_path"], TRUE), (run.folder / row["found"], PREDICTED)):
            cv2.drawContours(out, _outlines(images.read(file).pixels), -1, colour, 1)
    except (HilumError, OSError):
        pass
    words = f"{row['dice']:.3f} {'' if row['status'] == 'ok' else row['status']}"
    cv2.putText(out, words[:32], (4, SIDE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 0), 1)
    return out


def _outlines(mask: Any) -> list[Any]:
    small = cv2.resize(gallery.eight_bits(mask), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    outlines, _ = cv2.findContours(_binary(small), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return list(outlines)


def _binary(mask: Grey8) -> Grey8:
    return (mask > 127).astype(np.uint8)
