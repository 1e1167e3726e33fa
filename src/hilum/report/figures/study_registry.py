"""The figures that a study may ask for by name (`figures = [...]` in its recipe)."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from hilum.metrics import curves as evaluated
from hilum.report import grid_tables, history
from hilum.report.figures import (
    confusion,
    contact_sheet,
    gallery,
    heatmaps,
    network,
    operating_points,
    study,
    training,
)
from hilum.report.figures.registry import (
    DrawnFigure,
    EmbeddedFigure,
    labelled,
    positive_class,
    store,
)
from hilum.report.run_folder import RunFolder
from hilum.report.wording import class_name, code, count, interval, number, sample_size
from hilum.types import nearest_name


@dataclass(frozen=True, slots=True)
class StudyFigure:
    """A figure by name: its heading, how it is made, and what it cannot be made without."""

    title: str
    make: Callable[[RunFolder], DrawnFigure | None]
    needs: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as the page shows it: drawn, or the reason why not."""

    title: str
    panel: EmbeddedFigure | None
    reason: str = ""


def draw(run: RunFolder) -> list[Shown]:
    """Every figure that the run's recipe asks for, stored as `figures/study_<name>.png`."""
    asked = run.recipe.get("figures") or []
    names = [asked] if isinstance(asked, str) else asked
    return [_shown(run, str(name)) for name in dict.fromkeys(names)]


def _shown(run: RunFolder, name: str) -> Shown:
    if name not in STUDY_FIGURES:
        hint = nearest_name(name, STUDY_FIGURES)
        return Shown(name, None, f"there is no figure {name!r}; {hint}")
    figure = STUDY_FIGURES[name]
    drawn = figure.make(run)
    if drawn is None:
        return Shown(figure.title, None, f"it needs {figure.needs}.")
    return Shown(figure.title, store(run.folder, f"study_{name}", drawn))


def _curves(run: RunFolder) -> DrawnFigure | None:
    if run.history is None:
        return None
    rows = history.with_steps(run.history)
    names = grid_tables.short_names(list(rows["cell"].unique()))
    cells = len(names)
    several = rows.groupby("cell")[["fold", "seed"]].value_counts().size > cells
    thin = " Thin lines: folds and seeds; strong: their mean." if several else ""
    part = history.watched(rows)
    return DrawnFigure(
        training.curves(rows, names),
        rows,
        f"Training and {part} loss and accuracy of {count(cells, 'model')}. Values in the CSV.",
        f"Loss and accuracy of {count(cells, 'model')}, training (blue) and {part} (broken)."
        f"{thin} Dots: lowest {part} loss. Scales of the losses differ.",
        "full",
        history.overfit_notes(rows, names),
    )


def _samples(run: RunFolder) -> DrawnFigure | None:
    known = run.manifest if run.manifest is not None else run.chosen()
    if known is None or len(run.classes) < 2:
        return None
    known = known.dropna(subset=["label"]).drop_duplicates("sample_id")
    sought = positive_class(run.classes)
    others = [name for name in run.classes if name != sought]
    tables = [_of_kind(known, kind, i) for i, kind in enumerate(([sought], others))]
    heads = [", ".join(map(class_name, kind)) for kind in ([sought], others)]
    blocks = [
        contact_sheet.Block(head, [gallery.thumbnail(run, *one) for one in _files(table)])
        for head, table in zip(heads, tables, strict=True)
    ]
    words = f"Sample images: {heads[0]} in the first two rows, {heads[1]} in the last two."
    rows = pd.concat(tables, ignore_index=True).drop(columns="path")
    return DrawnFigure(contact_sheet.sheet(blocks), rows, words, words, "full")


def _of_kind(known: pd.DataFrame, kind: list[str], block: int) -> pd.DataFrame:
    """Which images of these classes stand in which place of the sheet."""
    mine = gallery.mixed(known[known["label"].isin(kind)])
    found = mine.head(contact_sheet.ROWS * contact_sheet.COLUMNS).reset_index(drop=True)
    at = contact_sheet.places(len(found), contact_sheet.ROWS * block)
    named = found[["label", "sample_id", "path"]]
    codes = [code("image", str(i)) for i in found["sample_id"]]
    return pd.concat([at, named], axis=1).assign(code=codes)


def _files(table: pd.DataFrame) -> list[tuple[str, object]]:
    return list(table[["sample_id", "path"]].itertuples(index=False, name=None))


def one_seed(run: RunFolder) -> pd.DataFrame | None:
    """Predictions of one seed of the reported cell: counts of several would count images twice."""
    predictions = labelled(run)
    if predictions is None:
        return None
    seed = run.section("model").get("seed")
    known = list(predictions["seed"].unique())
    mine = predictions[predictions["seed"] == (seed if seed in known else known[0])]
    return mine.reset_index(drop=True)


def _of_seeds(run: RunFolder) -> str:
    predictions = labelled(run)
    seeds = 0 if predictions is None else predictions["seed"].nunique()
    return f" One of {seeds} seeds, that of the stored model." if seeds > 1 else ""


def _thresholds(run: RunFolder) -> DrawnFigure | None:
    predictions = one_seed(run)
    if predictions is None or len(run.classes) < 2:
        return None
    sought = positive_class(run.classes)
    points = operating_points.points(predictions, sought)
    return DrawnFigure(
        study.thresholds(points),
        points,
        "Sensitivity, specificity and predictive values at each threshold. Table below.",
        f"{class_name(sought)} is called from each threshold on, {sample_size(len(predictions))}. "
        f"Bars: Wilson's 95 % intervals, images taken as independent.{_of_seeds(run)} The "
        "thresholds are given, not chosen on these images.",
        "full",
        table=operating_points.printed(points),
    )


def _histograms(run: RunFolder) -> DrawnFigure | None:
    predictions = one_seed(run)
    if predictions is None or len(run.classes) < 2:
        return None
    sought = positive_class(run.classes)
    groups = operating_points.groups(predictions, run.manifest)
    bins = operating_points.histogram(predictions, sought, groups)
    return DrawnFigure(
        study.histograms(bins),
        bins,
        f"Histograms of the predicted probability of {class_name(sought)} by true group.",
        f"Predicted probability of {class_name(sought)} in each group of images, "
        f"{sample_size(len(predictions))}; no bar is clipped.{_of_seeds(run)}",
        "full",
    )


def _confusions(run: RunFolder) -> DrawnFigure | None:
    if run.predictions is None or not run.classes:
        return None
    known = run.predictions[run.predictions["label"].isin(run.classes)]
    names = grid_tables.short_names(list(known["cell"].unique()))
    parts = []
    for cell, rows in known.groupby("cell", sort=False):
        counts = evaluated.confusion_table(rows, run.classes)
        long = counts.stack().rename("n").reset_index()
        parts.append(long.assign(matrix=names[str(cell)]))
    if not parts:
        return None
    return _matrices(pd.concat(parts, ignore_index=True), "the most probable class is predicted")


def _threshold_confusions(run: RunFolder) -> DrawnFigure | None:
    predictions = one_seed(run)
    if predictions is None or len(run.classes) < 2:
        return None
    counts = operating_points.confusions(predictions, positive_class(run.classes))
    return _matrices(counts, f"positive from the threshold on.{_of_seeds(run)}".rstrip("."))


def _matrices(counts: pd.DataFrame, how: str) -> DrawnFigure:
    n, figure = counts["matrix"].nunique(), confusion.confusions(counts)
    return DrawnFigure(
        figure,
        counts[["matrix", "truth", "prediction", "n"]],
        f"{n} confusion {'matrix' if n == 1 else 'matrices'}. Counts in the CSV.",
        f"Confusion {'matrix' if n == 1 else 'matrices'}; rows are the truth, shades the share of "
        f"the row; {how}.",
        "full" if figure.get_figwidth() > 9 else "half",
    )


def _bars(run: RunFolder) -> DrawnFigure | None:
    table = grid_tables.bars(run.scores, run.classes)
    if table.empty or table["value"].isna().all():
        return None
    return DrawnFigure(
        study.bars(table),
        table,
        f"Bars: precision, recall, F1, micro F1 and accuracy of {table['cell'].nunique()} models.",
        "Precision, recall and F1 of each class, micro F1 and accuracy over all, with 95 % "
        "intervals. With one label per image the last two are the same figure.",
        "full",
        _range_notes(table),
    )


def _range_notes(table: pd.DataFrame) -> tuple[str, ...]:
    """How far the models lie apart (El Azhari, study 000, calls this range a variance)."""
    found = grid_tables.spread(table)
    if found is None:
        return ()
    low, high, models = found
    return (
        f"Range of accuracy over {count(models, 'model')}: {number(high - low)}, from "
        f"{number(low)} to {number(high)} (highest minus lowest; not a variance).",
    )


def _decision_curve(run: RunFolder) -> DrawnFigure | None:
    predictions = one_seed(run)
    if predictions is None or len(run.classes) < 2:
        return None
    sought = positive_class(run.classes)
    curve = operating_points.decision_curve(predictions, sought)
    return DrawnFigure(
        study.decision_curve(curve, sought),
        curve,
        f"Net benefit of calling {class_name(sought)} against the threshold. Values in the CSV.",
        "Net benefit (Vickers & Elkin 2006): cases found less false alarms, weighed by the odds of "
        f"the threshold, per image, {sample_size(len(predictions))}.{_of_seeds(run)} A model is of "
        "use where it lies above both calling everyone and calling no one.",
    )


def _epochs_to_stop(run: RunFolder) -> DrawnFigure | None:
    if run.history is None:
        return None
    rule, origin = history.stop_rule(run.recipe)
    table = history.stops(history.with_steps(run.history), rule)
    if table.empty:
        return None
    names = grid_tables.short_names(list(table["cell"].unique()))
    table.insert(0, "model", table["cell"].map(names))
    words = table.groupby("model", sort=False)[["epochs", "ran"]].apply(study.stop_words)
    listed = table["epochs"].astype("object").where(table["epochs"].notna(), study.NEVER)
    return DrawnFigure(
        study.epochs_to_stop(table),
        table.assign(epochs=listed),
        f"Epochs until the stop rule held, of {count(len(words), 'model')}. Table below.",
        f"Epochs until validation accuracy was at least {rule.accuracy:g} and validation loss "
        f"below {rule.loss:g} at the end of the same epoch ({origin}). Bars: medians; dots: "
        "trainings.",
        "full",
        table=words.rename("Epochs").rename_axis("Model").reset_index(),
    )


def _sweep(run: RunFolder) -> DrawnFigure | None:
    table = grid_tables.sweep(run.scores)
    if table.empty:
        return None
    shown = pd.DataFrame({str(table["axis"].iloc[0]): table["x"].astype(str)})
    if table["series"].nunique() > 1:
        shown["Series"] = table["series"]
    shown["Accuracy"] = [number(value) for value in table["value"]]
    shown["95 % interval"] = [interval(row) or "–" for row in table.to_dict("records")]
    return DrawnFigure(
        study.sweep(table),
        table,
        f"Accuracy against {table['axis'].iloc[0]}. Table below.",
        f"Accuracy on test images against {table['axis'].iloc[0]}, with 95 % intervals"
        " (points moved sideways a little so that they do not hide each other).",
        "full",
        table=shown,
    )


def _network(run: RunFolder) -> DrawnFigure | None:
    layers = pd.DataFrame(run.section("model").get("layers") or [])
    if layers.empty:
        return None
    count_all, learnt = int(layers["parameters"].sum()), int(layers["trained"].sum())
    words = f"{run.section('model').get('backbone')} and its head: {count_all:,} weights"
    return DrawnFigure(
        network.drawing(layers),
        layers,
        f"Drawing of the network, stage by stage: {words}. Values in the CSV.",
        f"{words}, {learnt:,} of them trained here. Each box is what a stage hands on: its height "
        "stands for the size of the map, its thickness for the channels (both as square roots).",
        "full",
    )


STUDY_FIGURES: dict[str, StudyFigure] = {
    "curves": StudyFigure("Training curves of every model", _curves, "history.csv"),
    "samples": StudyFigure(
        "Sample images, with and without", _samples, "a manifest and two classes"
    ),
    "thresholds": StudyFigure("Thresholds", _thresholds, "labelled predictions of two classes"),
    "histograms": StudyFigure("Scores by group", _histograms, "labelled predictions"),
    "confusions": StudyFigure("Confusion of every model", _confusions, "labelled predictions"),
    "threshold_confusions": StudyFigure(
        "Confusion at each threshold", _threshold_confusions, "labelled predictions of two classes"
    ),
    "bars": StudyFigure("Models side by side", _bars, "scores by class"),
    "decision_curve": StudyFigure(
        "Decision curve", _decision_curve, "labelled predictions of two classes"
    ),
    "epochs_to_stop": StudyFigure(
        "Epochs until the stop rule", _epochs_to_stop, "a history.csv of training by epochs"
    ),
    "heatmaps": StudyFigure("Heat maps of test images", heatmaps.heatmaps, heatmaps.NEEDS),
    heatmaps.BY_MODEL: StudyFigure(
        "Heat maps by every model", heatmaps.by_model, heatmaps.NEEDS_BY_MODEL
    ),
    "network": StudyFigure("The network", _network, network.NEEDS),
    "sweep": StudyFigure("Along an axis of the grid", _sweep, "a grid with more than one cell"),
}
