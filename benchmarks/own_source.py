"""A source network taught by hilum itself, frozen, on a source of films that it never saw.

    python benchmarks/own_source.py --data DATA --out DIR

Cohen's collection, NIH ChestX-ray14 and Kermany's films (children; the other two are mostly
adults) are left out in turn. The last stages of EfficientNet-Lite0 are taught on the other two:

- "labels": all findings that those sources name, each inside its own source;
- "pairs": no labels, two views of a film have to be alike (SimSiam);
- "both": both losses, added;
- "both, next to Lite0": the features of "both" after those of Lite0 itself.

The network is then frozen. A standardised logistic head is trained and tested inside the left-out
source, in five folds with patients and near duplicates apart, three seeds. Lite0's own features
have the same head, penalties chosen alike, and the same folds. Both have the means of the fixed
earlier maps as well (pool `stages`), so that the last maps alone make the difference.

The rule, set before any result: a way ships only if it has the higher AUROC in at least two
questions, of two different sources, with p < 0.05 by DeLong's paired test by patient, after Holm
over all ways and questions; and if no question is significantly worse. The question with web
sites apart is printed as well and counts for nothing.

Nothing is chosen on a left-out source. Schedule, losses and depth are fixed here; the state that is
kept is that of the lowest loss on validation patients of the training sources (of "pairs": the
last); the penalty of a head is chosen on validation patients inside its training folds.
"""

import argparse
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from hilum.data import leakage
from hilum.metrics.metrics import auroc
from hilum.metrics.paired_tests import delong_test, holm
from hilum.models.numpy_head import Standardise
from hilum.training.linear_probe import LabelledFeatures, fit_probe, solve_alone
from hilum.types import Floats
from own_network import Films, Way, end_of_backbone, features_of, read_films, teach
from ridge import Array, Rows, rounds

LITE0, NEXT_TO = "Lite0", "both, next to Lite0"
WAYS = (Way("labels", 1, 0), Way("pairs", 0, 1), Way("both", 1, 1))
LEVEL = 0.05
PNEUMONIA = ("bacterial_pneumonia", "viral_pneumonia")


@dataclass(frozen=True, slots=True)
class Question:
    """Which labels of a source are to be separated.

    `by_site`: folds with web sites apart, which is not part of the rule.
    """

    source: str
    name: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    by_site: bool = False


QUESTIONS = (
    Question("cohen", "COVID-19 or other pneumonia", ("covid19",), ("pneumonia",)),
    Question("nih", "pneumonia or no finding", ("pneumonia",), ("normal",)),
    Question("kermany", "pneumonia or normal, children", PNEUMONIA, ("normal",)),
    Question("kermany", "bacterial or viral, children", PNEUMONIA[:1], PNEUMONIA[1:]),
    Question("cohen", "the same, web sites apart", ("covid19",), ("pneumonia",), by_site=True),
)


@dataclass(frozen=True, slots=True)
class Answers:
    """A row per way, and a row per film."""

    table: pd.DataFrame
    each: pd.DataFrame


def films_of(question: Question, films: Films) -> tuple[Rows, Rows, Rows]:
    """Rows of a question's films, their labels (film,) 0 or 1, and groups (film,) for its folds."""
    table = films.table
    asked = table["label"].isin(question.positive + question.negative)
    rows = np.flatnonzero(asked & (table["dataset"] == question.source))
    labels = table["label"].isin(question.positive).to_numpy()[rows].astype(np.int64)
    groups = films.groups[rows]
    if question.by_site:
        sites = table["site"].fillna("unknown").to_numpy()[rows]
        groups = joined(groups, pd.factorize(sites)[0].astype(np.int64))
    return rows, labels, groups


def joined(*groupings: Rows) -> Rows:
    """Groups (film,) such that films of one group in any of the groupings (film,) stay together."""
    pairs = []
    for grouping in groupings:
        _, first, place = np.unique(grouping, return_index=True, return_inverse=True)
        pairs.append(np.stack([np.arange(len(grouping)), first[place]], 1))
    names = [f"{i:06}" for i in range(len(groupings[0]))]
    merged = leakage.groups(np.concatenate(pairs).astype(np.int64), names)
    return np.asarray(merged[names].factorize()[0], np.int64)


def scores(features: Floats, labels: Rows, groups: Rows, seeds: int) -> Array:
    """Out-of-fold logits (film,) of the positive class, the mean over seeds."""
    found = np.zeros((seeds, len(labels)))
    for seed in range(seeds):
        for train, test in rounds(labels, groups, seed):
            fitted, held = next(rounds(labels[train], groups[train], seed))
            first = Standardise.of(features[train[fitted]])
            parts = [
                LabelledFeatures(first(features[rows]), labels[rows])
                for rows in (train[fitted], train[held])
            ]
            strength = fit_probe(parts[0], parts[1], even(labels[train[fitted]])).strength
            standard = Standardise.of(features[train])
            whole = LabelledFeatures(standard(features[train]), labels[train])
            theta = solve_alone(whole, even(labels[train]), strength)
            own = theta[1] - theta[0]
            found[seed, test] = standard(features[test]) @ own[:-1] + own[-1]
    return np.asarray(found.mean(0))


def even(labels: Rows) -> Array:
    """(class,) weights by which both classes count alike."""
    return np.asarray(len(labels) / 2 / np.bincount(labels, minlength=2))


def compared(question: Question, films: Films, own: Mapping[str, Floats], seeds: int) -> Answers:
    """Each way's answers to a question next to those of Lite0, film by film, and a row per way.

    `own` (film, feature) are last maps of all films, Lite0's among them.
    """
    rows, labels, groups = films_of(question, films)
    answers = {
        name: scores(np.concatenate([films.means[rows], last[rows]], 1), labels, groups, seeds)
        for name, last in own.items()
    }
    lines = []
    for name in own:
        if name == LITE0:
            continue
        # by patient, whatever divides the folds
        ends, p = delong_test(labels == 1, answers[LITE0], answers[name], films.groups[rows])
        areas = [auroc(labels == 1, answers[each]) for each in (LITE0, name)]
        lines.append({
            "source": question.source, "question": question.name, "way": name,
            "films": len(rows), "positive": int(labels.sum()), "groups": len(np.unique(groups)),
            "lite0": areas[0], "own": areas[1], "difference": areas[1] - areas[0],
            "low": ends.low, "high": ends.high, "p": p, "counts": not question.by_site,
        })  # fmt: skip
    each = pd.DataFrame({"row": rows, "group": films.groups[rows], "label": labels, **answers})
    return Answers(pd.DataFrame(lines), each.assign(question=question.name))


def corrected(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with p after Holm over all that count."""
    counts = table["counts"].to_numpy(bool)
    after = np.full(len(table), np.nan)
    after[counts] = holm(table.loc[counts, "p"].tolist())
    return table.assign(p_holm=after)


def shipped(table: pd.DataFrame) -> list[str]:
    """The ways that the rule lets ship."""
    sure = table[table["counts"] & (table["p_holm"] < LEVEL)]
    better, worse = sure[sure["difference"] > 0], sure[sure["difference"] < 0]
    return [
        way
        for way in table["way"].unique()
        if better.loc[better["way"] == way, "source"].nunique() >= 2
        and not (worse["way"] == way).any()
    ]


def measured(source: str, data: Path, steps: int, seeds: int) -> list[Answers]:
    """All answers to a source's questions, of networks that are taught without it."""
    films = read_films(data)
    rows = np.flatnonzero(films.table["dataset"] == source)
    ends = {LITE0: end_of_backbone().eval()}
    for way in WAYS:
        ends[way.name], course = teach(films, source, way, steps)
        print(f"{source} left out, {way.name}: {'; '.join(course)}", flush=True)
    found: dict[str, Floats] = {}
    for name, end in ends.items():
        own = features_of(end, films, rows)
        found[name] = np.zeros((len(films.table), own.shape[1]), np.float32)
        found[name][rows] = own
    found[NEXT_TO] = np.concatenate([found[LITE0], found["both"]], 1)
    asked = [question for question in QUESTIONS if question.source == source]
    return [compared(question, films, found, seeds) for question in asked]


def markdown(table: pd.DataFrame) -> str:
    """The table as printed."""
    lines = [
        "| left out | question (films) | way | Lite0 | taught | difference | p | p after Holm |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        after = f"{row.p_holm:.3f}" if row.counts else "-"
        lines.append(
            f"| {row.source} | {row.question} ({row.films}) | {row.way} | {row.lite0:.3f} | "
            f"{row.own:.3f} | {row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f}) | "
            f"{row.p:.4f} | {after} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Teach, test, print the table and the decision, and keep each film's answers."""
    given = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    given.add_argument("--data", type=Path, required=True)
    given.add_argument("--out", type=Path, default=Path())
    given.add_argument("--steps", type=int, default=160, help="of 64 pictures")
    given.add_argument("--seeds", type=int, default=3)
    given.add_argument("--workers", type=int, default=1, help="sources at a time")
    asked = given.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    films = read_films(asked.data)  # kept for the processes
    print(pd.crosstab(films.table["dataset"], films.table["label"]).to_string(), flush=True)
    print("findings: " + ", ".join(films.findings), flush=True)
    sources = list(dict.fromkeys(question.source for question in QUESTIONS))
    with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
        jobs = [
            pool.submit(measured, source, asked.data, asked.steps, asked.seeds)
            for source in sources
        ]
        parts = [part for job in jobs for part in job.result()]
    table = corrected(pd.concat([part.table for part in parts], ignore_index=True))
    table.to_csv(asked.out / "own_source.csv", index=False)
    pd.concat([part.each for part in parts]).to_csv(asked.out / "own_source_films.csv", index=False)
    print(markdown(table))
    print(f"ships: {', '.join(shipped(table)) or 'nothing'}")


if __name__ == "__main__":
    main()
