"""The table of figures: which a report has, which a recipe may ask for, and where each stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from hilum.report import figure_csv, style
from hilum.report.figures import (
    across,
    bars,
    confusion,
    confusions,
    curves,
    decision_curve,
    epochs_to_stop,
    group_histograms,
    heatmaps,
    heatmaps_by_model,
    histograms,
    lungs_blacked_out,
    network,
    precision_recall,
    reliability,
    roc,
    samples,
    sources,
    sweep,
    threshold_confusions,
    thresholds,
    training,
)
from hilum.report.figures.base import SECTIONS, DrawnFigure, ReportFigure, Section
from hilum.report.figures.gallery import data_uri
from hilum.report.printed_table import PrintedTable
from hilum.report.run_folder import RunFolder
from hilum.types import nearest_name

PREDICTIONS = "labelled predictions"
TWO_CLASSES = "labelled predictions of two classes"
# in the order in which they are shown in their sections
ROWS = (
    ReportFigure("sources", "Class by source", "data", sources.draw_sources, "labels and sources"),
    ReportFigure("across", "Across sources", "data", across.draw_across, "across_sources.csv"),
    ReportFigure("confusion", "Confusion", "curves", confusion.draw_confusion, PREDICTIONS),
    ReportFigure("roc", "ROC curves", "curves", roc.draw_roc, PREDICTIONS),
    ReportFigure("reliability", "Calibration", "curves", reliability.draw_reliability, PREDICTIONS),
    ReportFigure(
        "precision_recall", "Precision and recall", "curves",
        precision_recall.draw_precision_recall, PREDICTIONS,
    ),
    ReportFigure("histograms", "Scores", "curves", histograms.draw_histograms, PREDICTIONS),
    ReportFigure("training", "Training", "training", training.draw_training, "history.csv"),
    ReportFigure(
        "blacked", "Lungs blacked out", "verdict", lungs_blacked_out.draw_lungs_blacked_out,
        "blacked_out.npz",
    ),
    ReportFigure(
        "study_curves", "Training curves of every model", "study", curves.draw_curves,
        "history.csv", "curves",
    ),
    ReportFigure(
        "study_samples", "Sample images, with and without", "study", samples.draw_samples,
        "a manifest and two classes", "samples",
    ),
    ReportFigure(
        "study_thresholds", thresholds.TITLE, "study", thresholds.draw_thresholds, TWO_CLASSES,
        "thresholds",
    ),
    ReportFigure(
        "study_histograms", "Scores by group", "study", group_histograms.draw_group_histograms,
        PREDICTIONS, "histograms",
    ),
    ReportFigure(
        "study_confusions", "Confusion of every model", "study", confusions.draw_confusions,
        PREDICTIONS, "confusions",
    ),
    ReportFigure(
        "study_threshold_confusions", "Confusion at each threshold", "study",
        threshold_confusions.draw_threshold_confusions, TWO_CLASSES, "threshold_confusions",
    ),
    ReportFigure(
        "study_bars", "Models side by side", "study", bars.draw_bars, "scores by class", "bars",
    ),
    ReportFigure(
        "study_decision_curve", "Decision curve", "study", decision_curve.draw_decision_curve,
        TWO_CLASSES, "decision_curve",
    ),
    ReportFigure(
        "study_epochs_to_stop", epochs_to_stop.TITLE, "study",
        epochs_to_stop.draw_epochs_to_stop, "a history.csv of training by epochs",
        "epochs_to_stop",
    ),
    ReportFigure(
        "study_heatmaps", "Heat maps of test images", "study", heatmaps.draw_heatmaps,
        heatmaps.NEEDS, "heatmaps",
    ),
    ReportFigure(
        "study_heatmaps_by_model", "Heat maps by every model", "study",
        heatmaps_by_model.draw_heatmaps_by_model, heatmaps_by_model.NEEDS,
        heatmaps_by_model.NAME,
    ),
    ReportFigure(
        "study_network", "The network", "study", network.draw_network,
        "the layers of the model in results.json", "network",
    ),
    ReportFigure(
        "study_sweep", sweep.TITLE, "study", sweep.draw_sweep,
        "a grid with more than one cell", "sweep",
    ),
)  # fmt: skip
FIGURES = {row.name: row for row in ROWS}


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
    table: PrintedTable | None = None  # to be printed below
    kind: str = "chart"  # "chart", or "films" whose greys stay as they are in a dark theme
    data: str = ""  # the address of its CSV


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as the page shows it: drawn, or the reason why not; `title` where it was asked."""

    title: str
    panel: EmbeddedFigure | None
    reason: str = ""


def asked_figures() -> dict[str, ReportFigure]:
    """The figures that a recipe may name in `figures`."""
    return {row.asked_as: row for row in FIGURES.values() if row.asked_as}


def draw_figures(run: RunFolder) -> dict[Section, list[list[Shown]]]:
    """Draw and store every figure of the run; by section, those that stand side by side together.

    Figures of every report that cannot be drawn are absent; of those that the recipe asks for the
    reason is given.
    """
    sections: dict[Section, list[Shown]] = {section: [] for section in SECTIONS}
    for section, shown in (*_figures_of_every_report(run), *_figures_asked_for(run)):
        sections[section].append(shown)
    return {section: _paired(shown) for section, shown in sections.items()}


def _figures_of_every_report(run: RunFolder) -> Iterator[tuple[Section, Shown]]:
    for row in FIGURES.values():
        drawn = None if row.asked_as else row.draw(run)
        if drawn is not None:
            yield row.section, Shown("", store(run.folder, row.name, drawn, run.own_data))


def _figures_asked_for(run: RunFolder) -> Iterator[tuple[Section, Shown]]:
    wanted = run.recipe.get("figures") or []
    names = [wanted] if isinstance(wanted, str) else wanted
    rows = asked_figures()
    for name in dict.fromkeys(map(str, names)):
        if name not in rows:
            yield "study", Shown(name, None, unknown(name))
            continue
        row = rows[name]
        drawn = row.draw(run)
        if drawn is None:
            yield row.section, Shown(row.title, None, f"it needs {row.needs}.")
        else:
            yield row.section, Shown(row.title, store(run.folder, row.name, drawn, run.own_data))


def unknown(name: str) -> str:
    """Why a recipe's figure cannot be drawn, with the nearest known name."""
    return f"there is no figure {name!r}; {nearest_name(name, list(asked_figures()))}"


def _paired(shown: list[Shown]) -> list[list[Shown]]:
    """Two figures of half the page's width stand side by side, unless they have titles."""
    rows: list[list[Shown]] = []
    for one in shown:
        if rows and len(rows[-1]) == 1 and _is_half(rows[-1][0]) and _is_half(one):
            rows[-1].append(one)
        else:
            rows.append([one])
    return rows


def _is_half(shown: Shown) -> bool:
    return shown.panel is not None and not shown.title and shown.panel.width == "half"


def store(folder: Path, name: str, drawn: DrawnFigure, anonymous: bool = False) -> EmbeddedFigure:
    """Write a figure and its data to `figures/` and return it as the page embeds it.

    `anonymous`: the data that go into the page name no image.
    """
    path = style.save_figure(drawn.figure, drawn.data, folder / "figures", name, drawn.colours)
    with Image.open(path) as image:
        size = (image.width // 2, image.height // 2)
    words = (drawn.alt, drawn.caption, drawn.width)
    return EmbeddedFigure(
        name,
        data_uri(path),
        *words,
        size,
        drawn.notes,
        drawn.table,
        "films" if drawn.films else "chart",
        figure_csv.csv_address(drawn.data, name, anonymous),
    )
