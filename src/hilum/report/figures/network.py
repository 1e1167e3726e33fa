"""A drawing of the network: its stages, their maps, and which of them were trained."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon

from hilum.report.figures.base import DrawnFigure
from hilum.report.palette import GRID, INK, MUTED, OKABE_ITO
from hilum.report.run_folder import RunFolder
from hilum.report.style import blank, style

DEPTH = 0.35  # of a box's side that leans back, in a drawing of equal scales
LONG = 14  # letters of a name that fit below its box
STEP = 1.5  # from one box to the next
KINDS = {"frozen": GRID, "trained": OKABE_ITO["sky"], "in part": "#b9dcf2"}


def draw_network(run: RunFolder) -> DrawnFigure | None:
    layers = pd.DataFrame(run.section("model").get("layers") or [])
    if layers.empty:
        return None
    count_all, trained = int(layers["parameters"].sum()), int(layers["trained"].sum())
    words = f"{run.section('model').get('backbone')} and its head: {count_all:,} weights"
    return DrawnFigure(
        network_figure(layers),
        layers,
        f"Drawing of the network, stage by stage: {words}. Values in the CSV.",
        f"{words}, {trained:,} of them trained here. Each box is what a stage hands on: its height "
        "stands for the size of the map, its thickness for the channels (both as square roots).",
        "full",
    )


def network_figure(layers: pd.DataFrame) -> Figure:
    """Boxes as high as a stage's map and as thick as its channels, both as roots.

    One row per part: name, where, channels, rows, columns, layers, parameters, trained.
    """
    with style():
        figure = blank(9.2, 3.6)
        axes = figure.subplots()
        axes.set_axis_off()
        tallest = float(layers["rows"].max())
        for at, part in enumerate(layers.to_dict("records")):
            _box(axes, at * STEP, part, tallest)
        axes.set(xlim=(-0.8, (len(layers) - 1) * STEP + 1.0), ylim=(-1.15, 2.0))
        shown = [kind for kind in KINDS if kind in set(layers.apply(_kind, axis=1))]
        handles = [Patch(facecolor=KINDS[kind], edgecolor=MUTED, label=kind) for kind in shown]
        figure.legend(handles=handles, loc="outside upper left", ncols=3)
    return figure


def _box(axes: Axes, x: float, part: dict[str, Any], tallest: float) -> None:
    """One part as a box seen from the front and a little from above, its words below."""
    side = 0.1 + 1.5 * float(np.sqrt(part["rows"] / tallest))
    thick = 0.08 + 0.55 * min(1.0, float(np.sqrt(part["channels"] / 2048)))
    lean = DEPTH * side
    colour = "#ffffff" if part["where"] == "input" else KINDS[_kind(part)]
    left, right = x - thick / 2, x + thick / 2
    low, high = 0.4 - side / 2, 0.4 + side / 2
    faces = {
        1.0: [(left, low), (right, low), (right, high), (left, high)],
        0.85: [
            (left, high),
            (right, high),
            (right + lean, high + lean),
            (left + lean, high + lean),
        ],
        0.7: [(right, low), (right, high), (right + lean, high + lean), (right + lean, low + lean)],
    }
    for shade, corners in faces.items():
        axes.add_patch(
            Polygon(corners, facecolor=_darkened(colour, shade), edgecolor=MUTED, lw=0.7)
        )
    axes.text(x, -0.62, "\n".join(_words(part)), ha="center", va="top", fontsize=6.6, color=INK)


def _words(part: dict[str, Any]) -> list[str]:
    size = f"{part['rows']} x {part['columns']}" if part["rows"] > 1 else ""
    depth = f"{part['channels']:,} {'channel' if part['channels'] == 1 else 'channels'}"
    width = depth if part["rows"] > 1 else f"{part['channels']:,} outputs"
    weights = f"{_short(part['parameters'])} weights" if part["parameters"] else ""
    name = _two_lines(str(part["name"]).replace("features.", "").replace(" to ", "\nto "))
    return [line for line in (name, size, width, weights) if line]


def _two_lines(name: str) -> str:
    """A long name in two lines: it would run into the next one."""
    head, bar, tail = name.rpartition("_")
    return f"{head}\n{bar}{tail}" if len(name) > LONG and "\n" not in name and bar else name


def _short(count: int) -> str:
    """ "950", "12.3 k" or "23.5 M"."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count}"


def _kind(part: Any) -> str:
    if part["where"] == "input" or not part["parameters"]:
        return ""
    if part["trained"] == part["parameters"]:
        return "trained"
    return "in part" if part["trained"] else "frozen"


def _darkened(colour: str, by: float) -> tuple[float, ...]:
    """A hexadecimal colour, darkened."""
    return tuple(int(colour[i : i + 2], 16) / 255 * by for i in (1, 3, 5))
