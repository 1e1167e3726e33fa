"""Figures of the studies: each takes the table that stands beside it as CSV."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilum.report.grid_tables import BARS
from hilum.report.palette import LINES, MUTED, OKABE_ITO, SERIES, series
from hilum.report.style import blank, plain_ticks, style
from hilum.report.wording import class_name, label, score_name, wrapped

NEVER = "never"


def thresholds(points: pd.DataFrame) -> Figure:
    """Sensitivity and specificity with their intervals at each threshold; PPV by prevalence."""
    with style():
        figure = blank(9.2, 3.6)
        left, right = figure.subplots(1, 2)
        for name, colour, mark in (
            ("sensitivity", "vermillion", "o"),
            ("specificity", "blue", "s"),
        ):
            _intervals(left, points.assign(value=points[name]), name, OKABE_ITO[colour], mark)
        left.set(
            title="Of those with and without", ylabel="Share that is called rightly", ylim=(0, 1.03)
        )
        shares = [name for name in points if str(name).startswith("ppv_at_")]
        here = f"{points['prevalence'].iloc[0]:.1%}, as here"
        named = [("ppv", here), *((name, f"{float(str(name)[7:]):.0%}") for name in shares)]
        for i, (name, words) in enumerate(named):
            at = str(name).removeprefix("ppv")
            rows = points.assign(
                value=points[name], low=points[f"ppv_low{at}"], high=points[f"ppv_high{at}"]
            )
            right.errorbar(
                points["threshold"], points[name], _errors(rows), marker="o", color=SERIES[i],
                markersize=4, linestyle=LINES[i % len(LINES)], label=words, elinewidth=0.9,
                capsize=2,
            )  # fmt: skip
        right.set(title="Of those called positive", ylabel="PPV", ylim=(-0.02, 1.03))
        right.legend(title="where this share has it", fontsize=8, alignment="left")
        for axes in (left, right):
            axes.set_xlabel(
                f"Threshold on the probability of {class_name(points['class'].iloc[0])}"
            )
            axes.set_xticks(points["threshold"])
        left.legend(loc="lower right")
    return figure


def decision_curve(curve: pd.DataFrame, class_: str) -> Figure:
    """Net benefit of the model, of calling everyone and of calling no one, by threshold."""
    words = {"model": "the model", "all": "everyone is called", "none": "no one is called"}
    with style():
        figure = blank(4.6, 3.4)
        axes = figure.subplots()
        for i, (name, word) in enumerate(words.items()):
            axes.plot(
                curve["threshold"], curve[name], linestyle=LINES[i], color=SERIES[i], label=word
            )
        top = max(0.01, float(curve[list(words)].max().max()))
        axes.set(
            xlabel=f"Threshold on the probability of {class_name(class_)}",
            ylabel="Net benefit per image", xlim=(0, 1), ylim=(-0.3 * top, 1.1 * top),
        )  # fmt: skip
        axes.legend(fontsize=8)
    return figure


def _intervals(axes: Axes, rows: pd.DataFrame, name: str, colour: str, mark: str) -> None:
    ends = _errors(rows.rename(columns={f"{name}_low": "low", f"{name}_high": "high"}))
    axes.errorbar(
        rows["threshold"], rows["value"], ends, color=colour, marker=mark, markersize=4.5,
        elinewidth=1.1, capsize=2, label=score_name(name),
    )  # fmt: skip


def _errors(rows: pd.DataFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(2, row) lengths of the error bars; none where an end is not recorded."""
    below, above = rows["value"] - rows["low"], rows["high"] - rows["value"]
    return np.nan_to_num(np.stack([below, above]).astype(float).clip(min=0))


def histograms(bins: pd.DataFrame) -> Figure:
    """Images by predicted probability (group, left, right, n), one panel per group.

    Counts are on a log axis, so that a single image is seen beside thousands and none is clipped.
    """
    names = [str(name) for name in bins["group"].unique()]
    columns = 2 if len(names) in (2, 4) else min(len(names), 3)
    lines = -(-len(names) // columns)
    most = max(int(bins["n"].max()), 1)
    with style():
        figure = blank(9.2, 0.4 + 2.6 * lines)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (name, colour) in zip(grid.flat, series(names).items(), strict=False):
            mine = bins[bins["group"] == name]
            width = mine["right"] - mine["left"]
            axes.bar(mine["left"], mine["n"], width, align="edge", color=colour, edgecolor="white")
            axes.set_title(f"{label(class_name(name), 30)}, n = {mine['n'].sum():,}")
            axes.set(yscale="log", ylim=(0.7, 1.5 * most), xlim=(0, 1))
            plain_ticks(axes.yaxis)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        figure.supxlabel("Predicted probability", fontsize=9)
        figure.supylabel("Images (log scale)", fontsize=9)
    return figure


def bars(table: pd.DataFrame) -> Figure:
    """Precision, recall, F1, micro F1 and accuracy of each model: a panel per arm and class."""
    panels = list(table.groupby(["arm", "class"], sort=False))
    columns = min(table["class"].nunique(), 2)
    lines = -(-len(panels) // columns)
    with style():
        figure = blank(9.2, 0.4 + 2.7 * lines)
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, ((arm, class_), rows) in zip(grid.flat, panels, strict=False):
            _bars(axes, rows)
            words = [class_name(str(class_)), *([str(arm)] if arm else [])]
            axes.set_title(label(", ".join(words), 44))
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        shown = grid[0, 0].get_legend_handles_labels()
        figure.legend(*shown, loc="outside upper center", ncols=len(BARS), handlelength=1)
    return figure


def _bars(axes: Axes, rows: pd.DataFrame) -> None:
    models = list(dict.fromkeys(rows["model"]))
    width = 0.82 / len(BARS)
    for i, (metric, words) in enumerate(BARS.items()):
        mine = rows[rows["metric"] == metric].set_index("model").reindex(models)
        at = np.arange(len(models)) + (i - (len(BARS) - 1) / 2) * width
        axes.bar(
            at, mine["value"].fillna(0), width, yerr=_errors(mine), color=SERIES[i], label=words,
            edgecolor="white", linewidth=0.5, error_kw={"elinewidth": 0.8, "ecolor": MUTED},
        )  # fmt: skip
    axes.set(ylim=(0, 1.05))
    axes.grid(visible=False, axis="x")
    turned = len(models) > 3
    axes.set_xticks(
        range(len(models)),
        [label(str(name), 30) if turned else wrapped(str(name), 22, 3) for name in models],
        rotation=25 if turned else 0,
        fontsize=8,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )


def epochs_to_stop(stops: pd.DataFrame) -> Figure:
    """Epochs until the stop rule held (model, fold, seed, epochs, ran): the median as a bar.

    A dot per training; where some or all never reached it, the words say so.
    """
    names = list(dict.fromkeys(stops["model"]))
    with style():
        figure = blank(9.2, 0.8 + 0.36 * len(names))
        axes = figure.subplots()
        for i, name in enumerate(names):
            _stop_bar(axes, i, stops[stops["model"] == name])
        axes.set_yticks(range(len(names)), [wrapped(str(name), 40) for name in names])
        axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="Epochs until the rule held")
        reached = stops["epochs"].dropna()
        axes.set_xlim(0, 1.35 * max(float(reached.max()) if len(reached) else 1.0, 1.0))
        axes.grid(visible=False, axis="y")
    return figure


def _stop_bar(axes: Axes, i: int, rows: pd.DataFrame) -> None:
    reached = rows["epochs"].dropna().astype(float)
    end = float(reached.max()) if len(reached) else 0.0
    if len(reached):
        axes.barh(i, reached.median(), height=0.62, color=OKABE_ITO["sky"])
    if len(reached) > 1:
        axes.plot(reached, np.full(len(reached), i), ".", color=OKABE_ITO["blue"], markersize=5)
    axes.annotate(
        stop_words(rows), (end, i), (6, 0), textcoords="offset points", va="center", fontsize=8.5
    )


def stop_words(rows: pd.DataFrame) -> str:
    """ "8", "never (in 100 epochs)", or the median with how many never reached it."""
    reached = rows["epochs"].dropna().astype(float)
    ran = int(rows["ran"].max())
    if reached.empty:
        return f"{NEVER} (in {ran:,} epoch{'' if ran == 1 else 's'})"
    words = f"{reached.median():g}"
    missed = len(rows) - len(reached)
    return words if not missed else f"{words}; {missed} of {len(rows)} {NEVER}"


def sweep(table: pd.DataFrame) -> Figure:
    """A score with its interval along an axis of the grid (axis, x, series, value, low, high)."""
    names = list(dict.fromkeys(table["series"]))
    numeric = pd.api.types.is_numeric_dtype(table["x"])
    ticks = list(dict.fromkeys(table["x"]))
    place = {x: float(x) if numeric else float(i) for i, x in enumerate(ticks)}
    gap = min(np.diff(sorted(place.values())), default=1.0)
    with style():
        figure = blank(9.2, 3.8)
        axes = figure.subplots()
        for i, name in enumerate(names):
            rows = table[table["series"] == name]
            shift = 0.12 * gap * (i - (len(names) - 1) / 2) / max(len(names) - 1, 1)
            axes.errorbar(
                rows["x"].map(place) + shift, rows["value"], _errors(rows), capsize=2,
                color=SERIES[i % len(SERIES)], linestyle=LINES[i // len(SERIES) % len(LINES)],
                marker="o", markersize=5, elinewidth=1.1, label=label(str(name) or "all", 40),
            )  # fmt: skip
        axes.set_xticks(list(place.values()), [label(str(x), 22) for x in ticks])
        axes.set_xlim(min(place.values()) - 0.3 * gap, max(place.values()) + 0.3 * gap)
        axes.set(xlabel=str(table["axis"].iloc[0]), ylabel=score_name(str(table["metric"].iloc[0])))
        if len(names) > 1:
            figure.legend(loc="outside upper left", ncols=min(len(names), 3))
    return figure
