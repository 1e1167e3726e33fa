"""Two classes at a time, among all images and inside each source that has both.

Where classes come from different sources, knowing the source is enough for an AUROC among all
images; inside one source it tells nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.metrics import bootstrap, metrics
from hilum.metrics.predictions import CellPredictions, SeedPredictions
from hilum.types import Score

LEAST = 10  # images of each class that a source must have
Sources: TypeAlias = npt.NDArray[np.object_]  # (image,), "" where it is not known


@dataclass(frozen=True, slots=True)
class _Question:
    """Class number `first` against `second`, in one source or, where that is empty, in all."""

    first: int
    second: int
    source: str

    def rows(self, sample: SeedPredictions, sources: Sources) -> metrics.Bools:
        """(image,) which images it is about."""
        of_classes = np.isin(sample.labels, (self.first, self.second))
        return of_classes & (sources == self.source) if self.source else of_classes


def score_pairs(
    samples: CellPredictions, sources: Mapping[str, str], rng: np.random.Generator
) -> list[Score]:
    """AUROC of each pair of classes by p_first / (p_first + p_second), as if it were one of them.

    `sources` are by sample_id. There is nothing for two classes or one source, where the AUROC of
    a class says as much. Hand & Till 2001, doi:10.1023/A:1010920819831, average such areas.
    """
    each = [np.array([sources.get(str(i), "") for i in s.ids], object) for s in samples.seeds]
    questions = list(_questions(samples, each[0]))
    if not questions:
        return []

    def statistic(weights: bootstrap.Array) -> bootstrap.Array:
        areas = [
            [
                _area(sample, question, (question.rows(sample, own_sources), weights))
                for question in questions
            ]
            for sample, own_sources in zip(samples.seeds, each, strict=True)
        ]
        return np.asarray(np.mean(areas, axis=0).T)  # (replicate, figure)

    values = statistic(np.ones((1, samples.patients)))[0]
    images = max(len(sample.labels) for sample in samples.seeds)
    drawn = bootstrap.replicate(statistic, samples.patients, rng, width=images)
    ends = np.stack(bootstrap.percentile(drawn), -1)
    counts = [int(question.rows(samples.seeds[0], each[0]).sum()) for question in questions]
    return [
        _score(samples, question, (float(value), count), (float(low), float(high)))
        for question, value, count, (low, high) in zip(questions, values, counts, ends, strict=True)
    ]


def _questions(samples: CellPredictions, sources: Sources) -> Iterator[_Question]:
    names = sorted(set(sources) - {""})
    if len(samples.classes) < 3 or len(names) < 2:
        return
    labels = samples.seeds[0].labels
    for first, second in combinations(range(len(samples.classes)), 2):
        for source in ("", *names):
            question = _Question(first, second, source)
            own_labels = labels[question.rows(samples.seeds[0], sources)]
            if min((own_labels == first).sum(), (own_labels == second).sum()) >= LEAST:
                yield question


def _area(
    sample: SeedPredictions, question: _Question, drawn: tuple[metrics.Bools, bootstrap.Array]
) -> bootstrap.Array:
    """Of some images (image,) under weights (replicate, patient): areas (replicate,)."""
    rows, weights = drawn
    p = sample.p[rows][:, [question.first, question.second]]
    share = p[:, 0] / np.maximum(p.sum(1), np.finfo(float).tiny)
    ranking = metrics.rank(sample.labels[rows] == question.first, share)
    return metrics.roc_areas(ranking, weights[:, sample.patients[rows]])


def _score(
    samples: CellPredictions,
    question: _Question,
    estimate: tuple[float, int],
    ends: tuple[float, float],
) -> Score:
    value, n = estimate
    inside = f", inside {question.source}" if question.source else ""
    folds = len(np.unique(samples.seeds[0].folds))
    method = f"bootstrap by {samples.unit}" + (f", {folds} folds pooled" if folds > 1 else "")
    spread = ends[0] < ends[1]  # false also where they are undefined
    return Score(
        samples.cell,
        f"auroc (against {samples.classes[question.second]}{inside})",
        samples.classes[question.first],
        value,
        None,
        n if len(samples.seeds) == 1 else None,
        ends[0] if spread else None,
        ends[1] if spread else None,
        method if spread else "no interval: no spread in this sample",
    )
