"""C-27: are published figures arithmetically possible? Shares, F1 and accuracy against each other.

Every check allows for rounding at the printed precision. A share of images must be k of n (as GRIM
asks of means: Brown & Heathers 2017, doi:10.1177/1948550616673876); F1 must follow from precision
and sensitivity; sensitivities weighed by the classes' sizes must give the accuracy.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.audits import published_table
from hilum.audits.published_table import Experiment, PrintedRate
from hilum.metrics import metrics
from hilum.metrics.registry import METRICS
from hilum.types import LeftOut

RARE = 0.01  # a figure that fewer roundings than this explain is as good as impossible


@dataclass(frozen=True, slots=True)
class Violation:
    """One figure that cannot be, and why, in one sentence."""

    kind: str  # "range", "counts", "share", "f1" or "accuracy"
    study: str
    model: str
    class_: str
    metric: str
    where: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Consistency:
    """What was found, how many checks were made, and what could not be checked."""

    violations: tuple[Violation, ...]
    checks: int
    left_out: tuple[LeftOut, ...]


Outcome = tuple[PrintedRate, str, str]  # a figure, the check's kind, and what is wrong or ""


def check_table(path: Path) -> Consistency:
    """Check a CSV of published figures (columns of `published_table.COLUMNS`), row against row."""
    experiments, left_out = published_table.read_published_table(path)
    return check_arithmetic(experiments, left_out)


def check_arithmetic(experiments: list[Experiment], left_out: list[LeftOut]) -> Consistency:
    """Every check of every experiment; a figure that fails is named once per kind of check."""
    violations: list[Violation] = []
    checks = 0
    for experiment in experiments:
        for test in CHECKS:
            for figure, kind, wrong in test(experiment):
                checks += 1
                if wrong:
                    violations.append(_violation(experiment, figure, kind, wrong))
    return Consistency(tuple(violations), checks, tuple(left_out))


def _violation(experiment: Experiment, figure: PrintedRate, kind: str, wrong: str) -> Violation:
    sentence = f"{experiment.model}: {figure.shown}, {wrong}"
    return Violation(
        kind,
        experiment.study,
        experiment.model,
        figure.class_,
        figure.metric,
        figure.where,
        sentence,
    )


def _ranges(experiment: Experiment) -> Iterator[Outcome]:
    """Every rate lies between 0 and 1."""
    for figure in experiment.figures:
        inside = 0 <= figure.value <= 1
        yield figure, "range", "" if inside else "but a rate lies between 0 and 1."


# --- against counts -------------------------------------------------------------------------------


def _against_counts(experiment: Experiment) -> Iterator[Outcome]:
    """Rates of a table that prints TP, FP, FN and TN must follow from them."""
    for figure in experiment.figures:
        matrix = _matrix(experiment, figure)
        if matrix is None:
            continue
        value = METRICS[figure.metric].function(matrix)
        true = float(value[1] if np.ndim(value) else value)
        fits = math.isnan(true) or figure.allows(true)
        yield figure, "counts", "" if fits else f"but the printed counts give {true:.4f}."


def _sums(experiment: Experiment) -> Iterator[Outcome]:
    """TP + FN is the number of the class's test images, FP + TN that of all others."""
    sizes = experiment.sizes
    for class_, n in experiment.counts.items():
        own = sizes.per_class.get(class_)
        if own is None or not sizes.exact:
            continue
        for pair, size in (
            (("TP", "FN"), own),
            (("FP", "TN"), sum(sizes.per_class.values()) - own),
        ):
            if not set(pair) <= n.keys():
                continue
            total, name = n[pair[0]] + n[pair[1]], " + ".join(pair)
            shown = f"{name} of {class_} is {total}"
            figure = PrintedRate(class_, name, "", total, 0, shown, "")
            yield figure, "counts", "" if total == size else f"but {size} such images were tested."


def _matrix(experiment: Experiment, figure: PrintedRate) -> metrics.Counts | None:
    """((TN, FP), (FN, TP)) for the figure's class; of two classes either gives the other's."""
    if figure.at:
        return None
    complete = {c: n for c, n in experiment.counts.items() if {"TP", "FP", "FN", "TN"} <= n.keys()}
    own = figure.class_ if figure.class_ in complete else next(iter(complete), None)
    if own is None:
        return None
    n = complete[own]
    matrix = np.array([[n["TN"], n["FP"]], [n["FN"], n["TP"]]])
    two = len(experiment.sizes.per_class) == 2
    if own == figure.class_ or (figure.is_average and figure.metric.endswith("accuracy")):
        return matrix
    return matrix[::-1, ::-1] if two and not figure.is_average else None


# --- shares of images -----------------------------------------------------------------------------


def _shares(experiment: Experiment) -> Iterator[Outcome]:
    """Sensitivity, specificity and accuracy are k of n images."""
    sizes = experiment.sizes
    for figure in experiment.figures:
        totals = _denominators(experiment, figure)
        if not totals or figure.value > 1:
            continue
        if sizes.exact:
            fits = any(is_share(figure, n) for n in totals)
            wrong = f"but {_neighbours(figure.value, totals[0])}: no k of {totals[0]} gives it."
        else:
            fits = any(is_share(figure, n) for n in range(1, max(totals) + 1))
            wrong = (
                f"but no n up to {max(totals)} gives it as k of n: it can only be an "
                "average over folds or runs."
            )
        yield figure, "share", "" if fits else wrong


def _denominators(experiment: Experiment, figure: PrintedRate) -> list[int]:
    """How many images the figure may be a share of; more than one where the class is ambiguous."""
    sizes = experiment.sizes
    if figure.metric == "accuracy" and figure.is_average:
        return [sizes.total] if sizes.exact and sizes.total else []
    own = sizes.per_class.get(figure.class_)
    if own is None or figure.metric not in ("sensitivity", "specificity"):
        return []
    rest = sum(sizes.per_class.values()) - own
    # "specificity" next to the negative class is often that class's own share
    return [own] if figure.metric == "sensitivity" else [rest, own]


def is_share(figure: PrintedRate, n: int) -> bool:
    """Whether some k of n prints as this figure."""
    low, high = (figure.value + side * figure.half for side in (-1, 1))
    return math.floor(n * high + 1e-9) >= math.ceil(n * low - 1e-9)


def _neighbours(value: float, n: int) -> str:
    below = math.floor(value * n)
    return f"{below} of {n} is {below / n:.4f} and {below + 1} of {n} is {(below + 1) / n:.4f}"


# --- figures against each other -------------------------------------------------------------------


def _f1(experiment: Experiment) -> Iterator[Outcome]:
    """F1 of one class follows from its precision and its sensitivity, where no counts are shown."""
    for figure in experiment.figures:
        parts = [_other(experiment, figure, name) for name in ("precision", "sensitivity")]
        shown = _matrix(experiment, figure) is not None
        if figure.metric != "f1" or figure.is_average or shown or None in parts:
            continue
        p, r = (part for part in parts if part is not None)
        value = 2 * p.value * r.value / (p.value + r.value) if p.value + r.value else 0.0
        share = 1.0 if figure.allows(value) else explained(figure, p, r)
        rest = "no rounding explains" if share == 0 else f"{share:.1%} of the roundings explain"
        wrong = f"but precision {p.value:g} and recall {r.value:g} give {value:.5f}; {rest} that."
        yield figure, "f1", "" if share >= RARE else wrong


def _other(experiment: Experiment, figure: PrintedRate, metric: str) -> PrintedRate | None:
    """The figure of another metric for the same class and threshold."""
    same = (f for f in experiment.figures if (f.class_, f.at) == (figure.class_, figure.at))
    return next((f for f in same if f.metric == metric), None)


def explained(f1: PrintedRate, precision: PrintedRate, recall: PrintedRate) -> float:
    """Share of the unrounded (precision, recall) pairs, all alike likely, that print this F1."""
    r = recall.value + recall.half * np.linspace(-1, 1, 4001)
    ends = []
    for f in (f1.value - f1.half, f1.value + f1.half):
        # F = 2PR / (P + R) rises with P: solve it for P, infinite where no P is high enough
        ends.append(np.divide(f * r, 2 * r - f, out=np.full_like(r, np.inf), where=2 * r > f))
    low, high = precision.value - precision.half, precision.value + precision.half
    inside = np.clip(ends[1], low, high) - np.clip(ends[0], low, high)
    return float(inside.mean() / (high - low))


def _accuracy(experiment: Experiment) -> Iterator[Outcome]:
    """Accuracy is the classes' sensitivities weighed by their sizes."""
    sizes = experiment.sizes.per_class
    for figure in experiment.figures:
        if figure.metric != "accuracy" or not figure.is_average or not sizes:
            continue
        probe = [_of(experiment, name, figure.at) for name in sizes]
        recalls = [one for one in probe if one is not None]
        if len(recalls) < len(sizes):
            continue
        weights = np.array([*sizes.values()]) / sum(sizes.values())
        value = float(weights @ [one.value for one in recalls])
        slack = float(weights @ [one.half for one in recalls])
        mean = float(np.mean([one.value for one in recalls]))
        wrong = (
            f"but the recalls, weighted by the {sum(sizes.values())} images of their "
            f"classes, give {value:.4f} (unweighted {mean:.4f})."
        )
        yield figure, "accuracy", "" if figure.allows(value - slack, value + slack) else wrong


def _of(experiment: Experiment, class_: str, at: str) -> PrintedRate | None:
    key = (class_, at, "sensitivity")
    return next((f for f in experiment.figures if (f.class_, f.at, f.metric) == key), None)


CHECKS: tuple[Callable[[Experiment], Iterator[Outcome]], ...] = (
    _ranges,
    _sums,
    _against_counts,
    _shares,
    _f1,
    _accuracy,
)
