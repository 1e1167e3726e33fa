"""Which figures a run gets: the table of each from its predictions, its caption and its words."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from hilum.metrics import curves
from hilum.report import history, style
from hilum.report.figures import classification, confusion, lungs_blacked_out, training
from hilum.report.figures.gallery import data_uri
from hilum.report.run_folder import RunFolder
from hilum.report.score_tables import mine
from hilum.report.sections import labels_by_source
from hilum.report.wording import class_name, count, sample_size

CONTROLS = ("normal", "non_covid")
SOUGHT = "covid19"


@dataclass(frozen=True, slots=True)
class EmbeddedFigure:
    """A figure on the page: its file's name, picture, text for those who cannot see it, caption."""

    name: str
    uri: str
    alt: str
    caption: str
    width: str  # "half" or "full" of the page
    size: tuple[int, int]  # page pixels
    notes: tuple[str, ...] = ()
    table: pd.DataFrame | None = None  # to be printed below


@dataclass(frozen=True, slots=True)
class DrawnFigure:
    """A figure before it is stored, with the table that it shows."""

    figure: Figure
    data: pd.DataFrame
    alt: str
    caption: str
    width: str = "half"
    notes: tuple[str, ...] = ()  # sentences to print below the caption
    table: pd.DataFrame | None = None  # texts to print below, where a reader wants the numbers
    colours: int = style.COLOURS  # of the stored palette; 0: all


def draw(run: RunFolder) -> dict[str, EmbeddedFigure | None]:
    """Draw, store and embed every figure; None where the run's files do not allow it."""
    found = {name: make(run) for name, make in FIGURES.items()}
    return {n: store(run.folder, n, drawn) if drawn else None for n, drawn in found.items()}


def store(folder: Path, name: str, drawn: DrawnFigure) -> EmbeddedFigure:
    """Write a figure and its data to `figures/` and return it as the page embeds it."""
    path = style.save(drawn.figure, drawn.data, folder / "figures", name, drawn.colours)
    with Image.open(path) as image:
        size = (image.width // 2, image.height // 2)
    words = (drawn.alt, drawn.caption, drawn.width)
    return EmbeddedFigure(name, data_uri(path), *words, size, drawn.notes, drawn.table)


def confusion_counts(run: RunFolder) -> pd.DataFrame | None:
    """Images by truth (rows) and prediction (columns) of the reported cell."""
    predictions = labelled(run)
    return None if predictions is None else curves.confusion_table(predictions, run.classes)


def labelled(run: RunFolder) -> pd.DataFrame | None:
    """Predictions of images with a known label, or None where a curve cannot be drawn."""
    predictions = run.chosen()
    if predictions is None or not run.classes:
        return None
    known = predictions[predictions["label"].isin(run.classes)]
    return None if known.empty else known.reset_index(drop=True)


def _confusion(run: RunFolder) -> DrawnFigure | None:
    counts = confusion_counts(run)
    if counts is None:
        return None
    n, right = int(counts.to_numpy().sum()), int(sum(counts.iloc[i, i] for i in range(len(counts))))
    return DrawnFigure(
        confusion.confusion(counts),
        counts.rename_axis("truth").reset_index(),
        f"Confusion matrix: {right} of {n} predictions on the diagonal. Table below.",
        f"Confusion matrix, {sample_size(n)} predictions. Rows are the truth; the percentage and "
        "the shade are the share of the row.",
    )


def _roc(run: RunFolder) -> DrawnFigure | None:
    predictions = labelled(run)
    if predictions is None:
        return None
    shown = _with_both(predictions, run.classes)
    if not shown:
        return None
    points = pd.concat([curves.roc_points(predictions, name) for name in shown])
    areas = _areas(run, ("auroc", "auc"))
    return DrawnFigure(
        classification.roc(points, areas),
        points,
        "ROC curves. " + _listed("AUROC", areas, shown),
        f"ROC curves, each class against the rest, {sample_size(len(predictions))}. "
        "Dashes: chance.",
    )


def _precision_recall(run: RunFolder) -> DrawnFigure | None:
    predictions = labelled(run)
    shown = [] if predictions is None else _with_both(predictions, run.classes)
    if predictions is None or not shown:
        return None
    points = pd.concat([curves.pr_points(predictions, name) for name in shown])
    areas = _areas(run, ("auprc", "average_precision"))
    shares = {name: float((predictions["label"] == name).mean()) for name in shown}
    return DrawnFigure(
        classification.precision_recall(points, areas, shares),
        points,
        "Precision-recall curves. " + _listed("AUPRC", areas, shown),
        f"Precision and recall, each class against the rest, {sample_size(len(predictions))}. "
        "Dotted: the share of the class, which is the precision of guessing.",
    )


def _reliability(run: RunFolder) -> DrawnFigure | None:
    predictions = labelled(run)
    if predictions is None:
        return None
    bins = curves.reliability(predictions, run.classes)
    return DrawnFigure(
        classification.reliability(bins),
        bins,
        "Reliability curve: share of right predictions per bin of confidence. Values in the CSV.",
        f"Calibration, {sample_size(len(predictions))}: how often a prediction is right at each "
        "confidence, with 95 % intervals; below, images per bin. On the dashed line, confidence "
        "equals truth.",
    )


def _histograms(run: RunFolder) -> DrawnFigure | None:
    predictions = labelled(run)
    if predictions is None:
        return None
    bins = pd.concat([curves.score_histogram(predictions, name) for name in run.classes])
    names = ", ".join(class_name(name) for name in run.classes)
    return DrawnFigure(
        classification.score_histograms(bins),
        bins,
        f"Histograms of the predicted probability of {names}, own images against all others.",
        "How each class's probability is spread over its own images (coloured) and over all others "
        f"(grey), {sample_size(len(predictions))}. The less they overlap, the better they are told "
        "apart.",
        "full",
    )


def _training(run: RunFolder) -> DrawnFigure | None:
    if run.history is None:
        return None
    rows = run.history[run.history["cell"] == run.cell]
    rows = history.with_steps(run.history if rows.empty else rows)
    path = history.on_path(rows)
    runs, part = len(rows[["fold", "seed"]].drop_duplicates()), history.watched(rows)
    many = " A thin line per fold and seed, the mean strong." if runs > 1 else ""
    return DrawnFigure(
        training.training(rows),
        rows,
        f"Loss and accuracy of {count(runs, 'training')}, training and {part} part.",
        f"{count(runs, 'training').capitalize()} of the model.{many} Dots: the lowest {part} "
        f"loss.{_of_path(rows[path])}",
        "full",
        history.overfit_notes(rows, {run.cell: "this model"}),
    )


def _of_path(rows: pd.DataFrame) -> str:
    """How to read a regularisation path, and where validation is best on it."""
    if rows.empty:
        return ""
    best = history.lowest(rows)["strength"]
    found = f"{best.min():.2g}" if best.nunique() == 1 else f"{best.min():.2g} to {best.max():.2g}"
    return (
        " The linear head is solved exactly at each strength of the L2 penalty, without epochs; "
        f"validation is best at {found}."
    )


def _sources(run: RunFolder) -> DrawnFigure | None:
    counts = labels_by_source(run)
    if counts is None or counts.empty:
        return None
    n = int(counts.to_numpy().sum())
    return DrawnFigure(
        classification.sources(counts),
        counts.reset_index(),
        "Stacked bars: images of each class by source. Table below.",
        f"Images of each class by source, {sample_size(n)}. Where a colour belongs to one class "
        "only, the source alone gives the label away.",
        "full",
    )


def _across(run: RunFolder) -> DrawnFigure | None:
    if run.across is None or run.across.empty:
        return None
    order = list(dict.fromkeys(run.across["train"]))
    areas = run.across.pivot_table(index="train", columns="test", values="auroc", sort=False)
    return DrawnFigure(
        confusion.across(areas.loc[order]),
        run.across,
        "Matrix of AUROC by the source trained on and the source tested on. Values in the CSV.",
        "AUROC of a linear probe on the network's features, by the source that it was trained on "
        "and the one that it was tested on, over the classes that both have; where both are one, "
        "out of fold and by patient. "
        "What drops beside the diagonal does not travel.",
    )


def _blacked(run: RunFolder) -> DrawnFigure | None:
    shown = lungs_blacked_out.read(run.folder)
    if shown is None:
        return None
    return DrawnFigure(
        lungs_blacked_out.draw(shown),
        shown.table,
        "Films above, the same films with the lungs blacked out below, each with the probability "
        "of one class. Values in the CSV.",
        "What audit C-01 shows the model: test films of middling certainty, and the same without "
        "the lungs. Below each stands the class that the model gives to the whole film, with its "
        "probability. Where it hardly falls, the answer did not come from the lungs.",
        "full",
        colours=0,
    )


def _with_both(predictions: pd.DataFrame, classes: list[str]) -> list[str]:
    """Classes that some images have and some have not: only these have curves."""
    present = predictions["label"].nunique() > 1
    return [name for name in classes if present and (predictions["label"] == name).any()]


def positive_class(classes: list[str]) -> str:
    """The class that a test looks for: COVID-19 where there is one, else the last but controls."""
    others = [name for name in classes if name not in CONTROLS] or classes
    return SOUGHT if SOUGHT in classes else others[-1]


def _areas(run: RunFolder, names: tuple[str, ...]) -> dict[str, float]:
    rows = [row for row in mine(run) if row.get("name") in names and row.get("value") is not None]
    return {str(row.get("class")): float(row["value"]) for row in rows}


def _listed(what: str, areas: dict[str, float], shown: list[str]) -> str:
    listed = [f"{class_name(name)} {areas[name]:.3f}" for name in shown if name in areas]
    return f"{what}: {', '.join(listed)}." if listed else "Values in the CSV."


FIGURES: dict[str, Callable[[RunFolder], DrawnFigure | None]] = {
    "sources": _sources,
    "across": _across,
    "confusion": _confusion,
    "reliability": _reliability,
    "roc": _roc,
    "precision_recall": _precision_recall,
    "histograms": _histograms,
    "training": _training,
    "blacked": _blacked,
}
