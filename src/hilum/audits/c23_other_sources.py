"""C-23: what is lost at a source that a classifier was not trained on?"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits import cross_validated_probe, look_alikes, sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import scores
from hilum.types import Finding, Labels, Probabilities, Score, Status

RULE = AuditRule(
    id="C-23",
    title="Other sources",
    rule="AUROC that falls by more than 0.05 on a source that was left out, and by more than "
    "chance (bootstrap, p < 0.05 over all sources), warns, by more than 0.1 fails; where there is "
    "an external test of several classes, the model's own AUROC on it decides",
    source="Zech et al. 2018, doi:10.1371/journal.pmed.1002683; DeGrave et al. 2021, "
    "doi:10.1038/s42256-021-00338-7",
    remedy="train on more sources, and test on each of them separately",
    severity=230,
)
Floats64: TypeAlias = npt.NDArray[np.float64]
MOST = 1000  # images of a source
LEAST = 10  # images of a class at a source
REST = "all others"
Z = 1.96  # standard errors of a 95% interval to either side
SOURCES = 6  # of the train-on x test-on matrix


def audit(evidence: Evidence) -> Finding:
    """The greatest fall of AUROC from the sources trained on to one that was left out."""
    met = _at_external_test(evidence)
    if met is not None:
        return met
    if evidence.features is None:
        return RULE.unknown("the network's features are not available")
    table = evidence.once("matrix", lambda: matrix(evidence))
    if table.empty:
        return RULE.unknown(
            f"no two sources have two classes of {LEAST} images and 2 patients; test at another "
            "hospital with hilum evaluate"
        )
    left = table[table["train"] == REST]
    if left.empty:
        return RULE.unknown("no source has a class that the others have too")
    sure = left[left["sure"] > 0]  # where chance alone does not lose as much
    worst = (sure if len(sure) else left).sort_values("drop").iloc[-1]
    status = _judged(float(worst["drop"]) if len(sure) else 0.0)
    sentence = (
        f"A probe trained without {worst['test']} has AUROC {worst['auroc']:.2f} "
        f"there{_over(worst['classes'], evidence.classes)}, against "
        f"{worst['inside']:.2f} on the sources that it was trained on."
    )
    return RULE.finding(status, float(worst["drop"]), sentence)


def _judged(fall: float) -> Status:
    return "fail" if fall > 0.1 else "warn" if fall > 0.05 else "pass"


def _at_external_test(evidence: Evidence) -> Finding | None:
    """What the model itself loses there; None without such a test, or where AUROC is undefined.

    Chance is what the two intervals allow, as for independent samples.
    """
    films = evidence.external
    if films is None or (films["label"].value_counts() >= LEAST).sum() < 2:
        return None
    here, there = (_macro_auroc(table, evidence) for table in (evidence.predictions, films))
    if here is None or there is None:
        return None
    drop = here.value - there.value
    error = np.hypot(_standard_error(here), _standard_error(there))
    sentence = (
        f"On the {len(films):,} images of the external test AUROC is {there.value:.2f} "
        f"({there.low:.2f} to {there.high:.2f}), against {here.value:.2f} on the run's own test "
        "images."
    )
    return RULE.finding(_judged(drop if drop > Z * error else 0.0), drop, sentence)


def _macro_auroc(table: pd.DataFrame, evidence: Evidence) -> Score | None:
    """Of one cell's predictions; None where it has no interval."""
    rows = scores.score(table, evidence.classes, str(table["cell"].iloc[0]))
    found = next((row for row in rows if (row.name, row.class_) == ("auroc", "macro")), None)
    return found if found is not None and found.low is not None else None


def _standard_error(score: Score) -> float:
    assert score.low is not None  # noqa: S101 - see _macro_auroc
    assert score.high is not None  # noqa: S101
    return (score.high - score.low) / (2 * Z)


def _over(names: str, classes: list[str]) -> str:
    """The classes of an AUROC, where they are not all."""
    over = names.split("; ")
    return f" over {' and '.join(over)}" if len(over) < len(classes) else ""


def matrix(evidence: Evidence) -> pd.DataFrame:
    """Train-on x test-on: columns train, test, auroc, inside, drop, sure, classes; a row per pair
    that has a class in common.

    `auroc` on the diagonal is out of fold, by patient; `inside` is the training sources' own; on a
    source left out the true drop is at least `sure` (95% over all of them together). `classes`
    are those that `auroc` is the mean over: the ones that both sides have.
    """
    columns = ["train", "test", "auroc", "inside", "drop", "sure", "classes"]
    at = _by_source(evidence)
    if len(at) < 2 or evidence.features is None:
        return pd.DataFrame(columns=columns)
    every = np.concatenate([*at.values()])
    source = np.repeat([*at], [len(rows) for rows in at.values()])
    table = look_alikes.reduced(evidence.features[every])
    labels, groups = evidence.labels[every], evidence.groups[every]
    rows = []
    for name in at:
        at_source = source == name
        for train, train_rows, tested in ((name, at_source, [*at]), (REST, ~at_source, [name])):
            probe = _Probe.of(
                table[train_rows], labels[train_rows], groups[train_rows], evidence.seed
            )
            for test in tested:
                test_rows = source == test
                shared = probe.shared(labels[test_rows])
                if not len(shared):
                    continue
                area, sure = probe.inside, float("nan")
                if test != train:
                    area = probe.macro_auroc(table[test_rows], labels[test_rows])
                if train == REST:
                    sure = probe.least_fall(
                        table[test_rows], labels[test_rows], groups[test_rows], 0.05 / len(at)
                    )
                names = "; ".join(evidence.classes[c] for c in shared)
                rows.append((train, test, area, probe.inside, probe.inside - area, sure, names))
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True, slots=True)
class _Probe:
    """A probe of some images, and its probabilities (image, class) of them out of fold."""

    model: Any
    probabilities: Probabilities
    labels: Labels
    groups: npt.NDArray[np.int64]
    seed: int

    @classmethod
    def of(
        cls, table: Floats64, labels: Labels, groups: npt.NDArray[np.int64], seed: int
    ) -> "_Probe":
        """Fit to `table` (image, feature) with labels (image,) and patients `groups` (image,)."""
        probabilities = cross_validated_probe.out_of_fold(table, labels, groups, seed)
        return cls(
            cross_validated_probe.fit_probe_pipeline(table, labels),
            probabilities,
            labels,
            groups,
            seed,
        )

    @property
    def inside(self) -> float:
        """Macro AUROC out of fold."""
        return cross_validated_probe.macro_auroc(
            self.labels, self.probabilities, np.unique(self.labels)
        )

    def predict(self, table: Floats64) -> Probabilities:
        """(image, feature) -> (image, class) over all classes, 0 for those it was not fitted to."""
        p = np.zeros((len(table), self.probabilities.shape[1]))
        p[:, self.model[-1].classes_] = self.model.predict_proba(table)
        return p

    def shared(self, labels: Labels) -> Labels:
        """(class,) codes that both sides have."""
        return np.asarray(np.intersect1d(labels, self.labels), np.int64)

    def macro_auroc(self, table: Floats64, labels: Labels) -> float:
        """Macro AUROC of `table` (image, feature) over the classes that both sides have."""
        return cross_validated_probe.macro_auroc(labels, self.predict(table), self.shared(labels))

    def least_fall(
        self, table: Floats64, labels: Labels, groups: npt.NDArray[np.int64], tail: float
    ) -> float:
        """The least that AUROC falls on `table` (image, feature).

        The quantile `tail` over resampled patients: percentile bootstrap, Efron & Tibshirani 1993,
        doi:10.1201/9780429246593.
        """
        resampled = cross_validated_probe.resampled
        own = resampled(self.labels, [self.probabilities], self.groups, self.seed)
        p, shared = self.predict(table), self.shared(labels)
        elsewhere = resampled(labels, [p], groups, self.seed + 1, shared)
        return float(np.nanquantile((own - elsewhere)[1:], tail))


def _by_source(evidence: Evidence) -> dict[str, npt.NDArray[np.int64]]:
    """Images drawn from each of the first SOURCES sources that have enough of two classes."""
    sources = evidence.manifest["source"].astype(object)
    counts = pd.crosstab(sources, evidence.manifest["label"])
    able = counts.index[(counts >= LEAST).sum(axis=1) > 1]
    drawn = (sampling.sample(evidence, np.flatnonzero(sources == name), MOST) for name in able)
    several = {
        str(name): _of_several(evidence, rows) for name, rows in zip(able, drawn, strict=True)
    }
    return dict([(name, rows) for name, rows in several.items() if len(rows)][:SOURCES])


def _of_several(evidence: Evidence, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those (image,) of classes that two patients or more have; none where that leaves one class.

    A probe cannot be tested on other patients of a class that only one has.
    """
    labels, patients = evidence.labels[rows], evidence.groups[rows]
    kept = [c for c in np.unique(labels) if len(np.unique(patients[labels == c])) > 1]
    return rows[np.isin(labels, kept)] if len(kept) > 1 else rows[:0]
