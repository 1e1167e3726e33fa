"""The table of metrics: one row says what a metric is, how it is computed, and where it is read.

Scores, bootstrap, comparisons, report and terminal read METRICS; none has a list of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from hilum.metrics import metrics
from hilum.metrics.metrics import Array, Bools

Scope: TypeAlias = Literal["each", "macro", "micro", "weighted", "overall"]
AVERAGES: tuple[Scope, ...] = ("macro", "micro", "weighted")
WHOLE: tuple[str, ...] = ("overall", *AVERAGES)  # a score's `class_` where it is of no single class


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is, what it is computed from, and where its scores appear.

    What `function` takes and returns, by `basis`:
    "counts": confusion matrices (..., class, class) -> (..., class) where there is a value of
    "each" class, else (...);
    "ranking": TieSums of one class against the rest -> (...);
    "losses": labels (image,), probabilities (image, class) -> loss (image,) or (image, class); the
    value is the mean over the images, overall the sum over the classes;
    "gaps": the same -> (image, bin); the value is the sum over the bins of |sum over the images|,
    by the number of images.
    """

    name: str
    title: str
    definition: str
    basis: Literal["counts", "ranking", "losses", "gaps"]
    function: Callable[..., Array]
    scopes: tuple[Scope, ...]
    higher_is_better: bool = True
    # of a share of images: (image,) truth and prediction of a class -> (image,) which are counted
    share: Callable[[Bools, Bools], Bools] | None = None
    interval: Literal["bootstrap", "basic", "delong"] = "bootstrap"  # a share's is Wilson's
    mean_of_classes: bool = False  # an overall value that rests on the classes with images alone
    symmetric: bool = False  # of two classes both have the same value
    headline: int | None = None  # place among the figures that a report begins with
    brief: bool = False  # shown on the terminal without -v
    spread: bool = False  # its mean and sd over folds and seeds are scores too; shown of tasks
    compared: tuple[Scope, ...] = ()  # what a comparison of two runs tests
    aliases: Mapping[str, str] = field(default_factory=dict)  # names in papers -> their titles

    @property
    def key(self) -> tuple[str, Scope]:
        """Name and scope of its one score over all classes."""
        return self.name, "overall" if "overall" in self.scopes else "macro"

    @property
    def key_title(self) -> str:
        """What that score is called: "Accuracy", "F1, macro"."""
        return self.title if "overall" in self.scopes else f"{self.title}, macro"


def _all(own: Bools, named: Bools) -> Bools:
    return np.ones_like(own)


ROWS = (
    Metric(
        "accuracy", "Accuracy", "share of all images that are classified correctly",
        "counts", metrics.accuracy, ("overall",), share=_all,
        headline=1, brief=True, spread=True, compared=("overall",),
    ),
    Metric(
        "balanced_accuracy", "Balanced accuracy", "mean sensitivity of the classes",
        "counts", metrics.balanced_accuracy, ("overall",), mean_of_classes=True,
        headline=4, brief=True, compared=("overall",),
    ),
    Metric(
        "mcc", "Matthews correlation", "correlation of truth and prediction",
        "counts", metrics.mcc, ("overall",),
    ),
    Metric(
        "kappa", "Cohen's kappa", "agreement beyond chance",
        "counts", metrics.kappa, ("overall",),
    ),
    Metric(
        "sensitivity", "Sensitivity", "share of the class's images that are found",
        "counts", metrics.sensitivity, ("each", *AVERAGES), share=lambda own, named: own,
        brief=True, compared=("each",), aliases={"recall": "Sensitivity (recall)"},
    ),
    Metric(
        "specificity", "Specificity", "share of the other images that are not given this class",
        "counts", metrics.specificity, ("each", "macro"), share=lambda own, named: ~own,
        brief=True,
    ),
    Metric(
        "precision", "Precision (PPV)", "share of the images given this class that belong to it",
        "counts", metrics.precision, ("each", *AVERAGES), share=lambda own, named: named,
        aliases={"ppv": "PPV"},
    ),
    Metric(
        "npv", "NPV", "share of the images not given this class that do not belong to it",
        "counts", metrics.npv, ("each", "macro"), share=lambda own, named: ~named,
    ),
    Metric(
        "f1", "F1", "harmonic mean of precision and sensitivity",
        "counts", metrics.f1, ("each", *AVERAGES),
        headline=2, brief=True, compared=("macro",),
    ),
    Metric(
        "auroc", "AUROC", "chance that an image of the class scores above another image",
        "ranking", metrics.roc_area, ("each", "macro"), interval="delong", symmetric=True,
        headline=3, brief=True, spread=True, compared=("each", "macro"),
        aliases={"auc": "AUROC"},
    ),
    Metric(
        "auprc", "AUPRC", "mean precision over all sensitivities",
        "ranking", metrics.average_precision, ("each", "macro"),
        aliases={"average_precision": "Average precision"},
    ),
    Metric(
        "brier", "Brier score", "mean squared error of the probabilities",
        "losses", metrics.squared_errors, ("each", "overall"),
        higher_is_better=False, brief=True,
    ),
    Metric(
        "log_loss", "Log loss", "mean surprise at the truth, in nats",
        "losses", metrics.surprisals, ("overall",),
        higher_is_better=False, compared=("overall",), aliases={"nll": "Log loss"},
    ),
    Metric(
        "ece", "Calibration error (ECE)", "mean distance between confidence and accuracy",
        "gaps", metrics.calibration_gaps, ("overall",),
        higher_is_better=False, interval="basic", brief=True,
    ),
)  # fmt: skip
METRICS = {row.name: row for row in ROWS}


def find_metric(name: str) -> Metric | None:
    """The metric of a score's name, or of a paper's name for it; None for another's score."""
    by_name = METRICS.get(name)
    return by_name or next((row for row in METRICS.values() if name in row.aliases), None)


def classes_of(scope: Scope, classes: Sequence[str]) -> Sequence[str]:
    """What a score's `class_` is under a scope: each class, or the scope's own name."""
    return classes if scope == "each" else (scope,)


def headlines() -> list[Metric]:
    """The metrics that head a report, and columns of a table of cells, in their order."""
    rows = [row for row in METRICS.values() if row.headline is not None]
    return sorted(rows, key=lambda row: row.headline or 0)


def brief() -> list[Metric]:
    """The metrics that everyone sees on the terminal."""
    return [row for row in METRICS.values() if row.brief]


def spread() -> list[Metric]:
    """The metrics that are also reported per fold, per seed and per task."""
    return [row for row in METRICS.values() if row.spread]
