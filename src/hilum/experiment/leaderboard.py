"""Many finished runs in one table, best first, each with its intervals and its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any

from hilum.inference.model_json import RESULTS, run_of
from hilum.metrics import registry
from hilum.report import run_folder
from hilum.report.run_folder import RunFolder
from hilum.types import MissingError


@dataclass(frozen=True, slots=True)
class RankedScore:
    """One score of a run with its 95% interval; nan where the run has no such score."""

    title: str
    value: float = nan
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One run's place: the figures that a report begins with, test images, verdict."""

    run: str
    recipe: str
    cell: str
    images: int
    figures: list[RankedScore]  # in the order of `registry.headlines`, the first one ranks
    verdict: str


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Runs from the best value of the first figure to the worst, and what a reader must know."""

    standings: list[Standing]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def rank_runs(folders: Sequence[Path]) -> Leaderboard:
    """Rank finished runs by the chosen cell's scores.

    Raises MissingError for a folder without a finished run, HilumError for a damaged one.
    """
    runs = [_read(run_of(folder)) for folder in folders]
    standings = [_standing(str(name), run) for name, run in zip(folders, runs, strict=True)]
    return Leaderboard(sorted(standings, key=_rank), _notes(runs))


def _read(folder: Path) -> RunFolder:
    if not (folder / RESULTS).is_file():
        raise MissingError(
            "a comparison needs the --out folders of finished runs; got "
            f"{str(folder)!r} without {RESULTS}; finish that run, or check the path."
        )
    return run_folder.read_run(folder)


def _rank(standing: Standing) -> tuple[bool, float]:
    value = standing.figures[0].value
    return isnan(value), -value  # a run without the figure comes last


def _standing(name: str, run: RunFolder) -> Standing:
    of_cell = [row for row in run.scores if row.get("cell") == run.cell]
    by_key = {(row.get("name"), row.get("class")): row for row in of_cell}
    figures = [_figure(row.key_title, by_key.get(row.key)) for row in registry.headlines()]
    predictions = run.chosen()
    return Standing(
        run=name,
        recipe=str(run.results.get("recipe", "")),
        cell=run.cell,
        images=0 if predictions is None else predictions["sample_id"].nunique(),
        figures=figures,
        verdict=str(run.results.get("verdict", "")),
    )


def _figure(title: str, row: Mapping[str, Any] | None) -> RankedScore:
    if row is None or row.get("value") is None:
        return RankedScore(title)
    return RankedScore(title, float(row["value"]), row.get("low"), row.get("high"))


def _notes(runs: Sequence[RunFolder]) -> list[str]:
    """Why a better place may mean nothing."""
    notes = []
    if len({frozenset(run.classes) for run in runs}) > 1:
        notes.append("These runs have different classes, so their figures are not comparable.")
    tested = {
        frozenset(table["sample_id"]) if (table := run.chosen()) is not None else frozenset()
        for run in runs
    }
    if len(tested) > 1:
        notes.append(
            "These runs were tested on different images, so a better figure may come from easier "
            "images. Use hilum compare with two runs for a paired test on the images they share."
        )
    else:
        notes.append(
            "All runs were tested on the same images. Use hilum compare with two runs for a paired "
            "test of their difference."
        )
    best = "The best of many runs looks better than it is, because chance has a part in its place."
    return [*notes, best]
