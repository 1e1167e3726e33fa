"""C-05, C-12 and C-23: what small classifiers on the network's own features give away."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits import c02_confounding, c10_c11_leakage, cross_validated_probe, look_alikes
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, HilumError, Labels, Probabilities, Status

SOURCE = AuditRule(
    "C-05",
    "Source in the features",
    "AUROC above 0.8 of a linear probe for the source, within a class, with its interval above "
    "0.5, warns, and fails where source and label go together (C-02: V above 0.3)",
    "Zech et al. 2018, doi:10.1371/journal.pmed.1002683; Teixeira et al. 2021, "
    "doi:10.3390/s21217116",
)
RANDOM = AuditRule(
    "C-12",
    "Random labels",
    "labels drawn anew for each patient, or cluster of near duplicates, that the nearest training "
    "image predicts better than chance by two standard errors fail",
    "Yagis et al. 2021, doi:10.1038/s41598-021-01681-w: 96 % of random labels, split by slice",
)
EXTERNAL = AuditRule(
    "C-23",
    "Other sources",
    "AUROC that falls by more than 0.05 on a source that was left out, and by more than chance "
    "(bootstrap, p < 0.05 over all sources), warns, by more than 0.1 fails",
    "Zech et al. 2018, doi:10.1371/journal.pmed.1002683; DeGrave et al. 2021, "
    "doi:10.1038/s42256-021-00338-7",
)
Floats64: TypeAlias = npt.NDArray[np.float64]
MOST = 1000  # images of a probe
LEAST = 10  # images of a class at a source
PERMUTATIONS = 50
REST = "all others"
SOURCES = 6  # of the train-on x test-on matrix


def audit_source(evidence: Evidence) -> Finding:
    """The most telling class: AUROC of its images' source from their features."""
    sources = evidence.manifest["source"]
    if evidence.features is None:
        return SOURCE.unknown("the network's features are not at hand")
    if sources.isna().any() or sources.nunique() < 2:
        known = "unknown" if sources.isna().any() else "the same for all images"
        return SOURCE.unknown(f"the source is {known}")
    found: dict[str, tuple[float, tuple[float, float]]] = {}
    for name in evidence.classes:
        at = _drawn(np.flatnonzero(_mixed(sources, evidence.manifest["label"] == name)), evidence)
        if len(at):
            codes = pd.factorize(sources.iloc[at])[0].astype(np.int64)
            table = look_alikes.reduced(evidence.features[at])
            found[name] = cross_validated_probe.judged(
                table, codes, evidence.groups[at], evidence.seed
            )
    if not found:
        return SOURCE.unknown(
            f"no class has {LEAST} images of each of two sources, so that source and label are one"
        )
    name = max(found, key=lambda name: found[name])
    value, interval = found[name]
    v = c02_confounding.of_patients(evidence.manifest)[0]
    sentence = (
        f"Within {name} a linear probe tells the source of an image with AUROC {value:.2f}; "
        f"source and label go together with V = {v:.2f}."
    )
    told = value > 0.8 and interval[0] > 0.5
    status: Status = "pass" if not told else "fail" if v > 0.3 else "warn"
    return SOURCE.found(status, value, sentence, interval)


def _mixed(sources: pd.Series, mine: pd.Series) -> npt.NDArray[np.bool_]:
    """(image,) whether it is of the class and of a source with enough of it; none where one is."""
    counts = sources[mine].value_counts()
    enough = counts[counts >= LEAST].index
    kept = mine & sources.isin(enough)
    return (kept if len(enough) > 1 else kept & ~kept).to_numpy(bool)


def audit_random(evidence: Evidence) -> Finding:
    """Share of test images whose new label is that of the nearest training image."""
    if evidence.features is None or evidence.split is None:
        return RANDOM.unknown("features or split are not at hand")
    train, test = c10_c11_leakage.parts(evidence)
    if not len(train) or not len(test):
        return RANDOM.unknown("no training images are among those at hand")
    groups = look_alikes.of(evidence)
    known, asked = (look_alikes.unit(evidence.features[at]) for at in (train, test))
    near = train[(asked @ known.T).argmax(1)]
    random = np.random.default_rng([evidence.seed, 12])
    drawn = random.permuted(np.tile(_by_group(evidence, groups), (PERMUTATIONS, 1)), axis=1)
    right = float((drawn[:, groups[near]] == drawn[:, groups[test]]).mean())
    apart = groups[near] != groups[test]  # where no leak is, these alone are left
    chance = _chance(_by_group(evidence, groups))
    error = float(np.sqrt(chance * (1 - chance) / len(np.unique(groups[test]))))
    told = f"{right:.0%} of test images are told right, chance is {chance:.0%} ± {2 * error:.0%}"
    if right > chance + 2 * error:
        sentence = (
            f"With labels drawn anew for each patient or cluster {told}: {int((~apart).sum())} of "
            f"{len(test)} have their own in training."
        )
        return RANDOM.found("fail", right, sentence)
    return RANDOM.found("pass", right, f"With random labels {told}.")


def audit_external(evidence: Evidence) -> Finding:
    """The greatest fall of AUROC from the sources trained on to one that was left out."""
    if evidence.features is None:
        return EXTERNAL.unknown("the network's features are not at hand")
    table = evidence.once("matrix", lambda: matrix(evidence))
    if table.empty:
        return EXTERNAL.unknown(
            f"no two sources have {LEAST} images each of two classes; test on another hospital "
            "with hilum evaluate"
        )
    left = table[table["train"] == REST]
    sure = left[left["sure"] > 0]  # where chance alone does not lose as much
    worst = (sure if len(sure) else left).sort_values("drop").iloc[-1]
    lost = float(worst["drop"]) if len(sure) else 0.0
    status: Status = "fail" if lost > 0.1 else "warn" if lost > 0.05 else "pass"
    sentence = (
        f"A probe trained without {worst['test']} has AUROC {worst['auroc']:.2f} there"
        f"{_over(worst['classes'], evidence.classes)}, and {worst['inside']:.2f} on the sources "
        "that it was trained on."
    )
    return EXTERNAL.found(status, float(worst["drop"]), sentence)


def _over(names: str, classes: list[str]) -> str:
    """The classes of an AUROC, where they are not all."""
    over = names.split("; ")
    return f" over {' and '.join(over)}" if len(over) < len(classes) else ""


def matrix(evidence: Evidence) -> pd.DataFrame:
    """Train-on x test-on: columns train, test, auroc, inside, drop, sure, classes; a row per pair.

    `auroc` on the diagonal is out of fold, by patient; `inside` is the training sources' own; on a
    source left out the true drop is at least `sure` (95 % over all of them together). `classes`
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
    found = []
    for name in at:
        here = source == name
        for train, mine, tested in ((name, here, [*at]), (REST, ~here, [name])):
            one = _Probe.of(table[mine], labels[mine], groups[mine], evidence.seed)
            for test in tested:
                there = source == test
                area, sure = one.inside, float("nan")
                if test != train:
                    area = one.area(table[there], labels[there])
                if train == REST:
                    sure = one.lost(table[there], labels[there], groups[there], 0.05 / len(at))
                names = "; ".join(evidence.classes[c] for c in one.shared(labels[there]))
                found.append((train, test, area, one.inside, one.inside - area, sure, names))
    return pd.DataFrame(found, columns=columns)


@dataclass(frozen=True, slots=True)
class _Probe:
    """A probe of some images, and what it says of them out of fold."""

    model: Any
    told: Probabilities
    labels: Labels
    groups: npt.NDArray[np.int64]
    seed: int

    @classmethod
    def of(
        cls, table: Floats64, labels: Labels, groups: npt.NDArray[np.int64], seed: int
    ) -> "_Probe":
        told = cross_validated_probe.out_of_fold(table, labels, groups, seed)
        return cls(cross_validated_probe.fitted(table, labels), told, labels, groups, seed)

    @property
    def inside(self) -> float:
        """Macro AUROC out of fold."""
        return cross_validated_probe.area(self.labels, self.told, np.unique(self.labels))

    def says(self, table: Floats64) -> Probabilities:
        p = np.zeros((len(table), self.told.shape[1]))
        p[:, self.model[-1].classes_] = self.model.predict_proba(table)
        return p

    def shared(self, labels: Labels) -> Labels:
        found = np.intersect1d(labels, self.labels)
        if not len(found):
            raise HilumError("two sources share no class")
        return np.asarray(found, np.int64)

    def area(self, table: Floats64, labels: Labels) -> float:
        """Macro AUROC elsewhere, over the classes that both sides have."""
        return cross_validated_probe.area(labels, self.says(table), self.shared(labels))

    def lost(
        self, table: Floats64, labels: Labels, groups: npt.NDArray[np.int64], tail: float
    ) -> float:
        """The least that AUROC falls elsewhere: a quantile over resampled patients."""
        resampled = cross_validated_probe.resampled
        own = resampled(self.labels, [self.told], self.groups, self.seed)
        p, shared = self.says(table), self.shared(labels)
        there = resampled(labels, [p], groups, self.seed + 1, shared)
        return float(np.nanquantile((own - there)[1:], tail))


def _by_source(evidence: Evidence) -> dict[str, npt.NDArray[np.int64]]:
    """Images drawn from each of the first SOURCES sources that have enough of two classes."""
    sources = evidence.manifest["source"].astype(object)
    counts = pd.crosstab(sources, evidence.manifest["label"])
    able = counts.index[(counts >= LEAST).sum(axis=1) > 1][:SOURCES]
    return {str(name): _drawn(np.flatnonzero(sources == name), evidence) for name in able}


def _drawn(at: npt.NDArray[np.int64], evidence: Evidence) -> npt.NDArray[np.int64]:
    """At most MOST of some images, drawn evenly."""
    random = np.random.default_rng([evidence.seed, 5])
    return np.sort(random.permutation(at)[:MOST])


def _by_group(evidence: Evidence, groups: npt.NDArray[np.int64]) -> Labels:
    """(group,) the label of each group's first image."""
    return evidence.labels[np.unique(groups, return_index=True)[1]]


def _chance(labels: Labels) -> float:
    """How often two different groups have one label."""
    counts = np.unique(labels, return_counts=True)[1]
    return float((counts * (counts - 1)).sum() / (len(labels) * max(1, len(labels) - 1)))
