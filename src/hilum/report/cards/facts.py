"""What the cards are filled from: a run's folder, and the record of the model that lies in it.

Model cards: Mitchell et al. 2019, doi:10.1145/3287560.3287596.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hilum.inference import model_json
from hilum.report import render, score_tables
from hilum.report import run_folder as folder
from hilum.report.run_folder import RunFolder
from hilum.report.wording import class_name, number, prose, score_name, without_paths
from hilum.types import MANIFEST_COLUMNS


@dataclass(frozen=True, slots=True)
class CardFacts:
    """One finished run as the cards read it; `model` is `model.json`, empty where there is none."""

    run: RunFolder
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """What `results.json` says of the model."""
        return self.run.section("model")

    @property
    def title(self) -> str:
        """The run's title, or its recipe's name, or its folder's."""
        named = (self.run.results.get("title"), self.run.results.get("recipe"))
        return str(next((name for name in named if name), self.run.folder.name))

    @property
    def external(self) -> bool:
        """Whether this is the test of a finished model on images of elsewhere."""
        return self.run.cell == "external"

    @property
    def verdict(self) -> str:
        """The run's verdict, with the classes' names as readers know them."""
        return prose(str(self.run.results.get("verdict") or ""))

    @property
    def classes(self) -> str:
        """The classes, in words."""
        return listed([class_name(name) for name in self.run.classes])

    @property
    def scores(self) -> list[dict[str, Any]]:
        """The scores of the reported cell."""
        return score_tables.chosen_scores(self.run)

    def score(self, name: str, class_: str) -> dict[str, Any] | None:
        """One score of the reported cell; None where it was not computed, or is undefined."""
        found = (
            row for row in self.scores if (row.get("name"), row.get("class")) == (name, class_)
        )
        row = next(found, None)
        return row if row is not None and isinstance(row.get("value"), int | float) else None

    def audit(self, id_: str) -> dict[str, Any] | None:
        """An audit's finding, or None where it was not asked."""
        return next((row for row in self.run.rows("audits") if row.get("id") == id_), None)

    def images(self) -> pd.DataFrame | None:
        """The run's images, a row each, or None where its table is missing."""
        table = self.run.manifest
        if table is None:
            return None
        absent = [name for name in MANIFEST_COLUMNS if name not in table]
        return table.drop_duplicates("sample_id").assign(**dict.fromkeys(absent, pd.NA))

    def clean(self, words: str) -> str:
        """A text that may be passed on: no absolute path in it."""
        return without_paths(words, render.roots(self.run)).strip()


def read_facts(run_folder: Path) -> CardFacts:
    """The facts of a finished run's folder.

    Raises MissingError without `results.json`, HilumError where a file cannot be read.
    """
    return facts_of(folder.read_run(run_folder))


def facts_of(run: RunFolder) -> CardFacts:
    """The same of a run that has been read. HilumError where its `model.json` is damaged."""
    home = model_json.find_model_folder(run.folder)
    has_model = home != run.folder
    return CardFacts(run, model_json.read_metadata(home) if has_model else {})


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def score_label(row: Mapping[str, Any]) -> str:
    """ "Accuracy", "AUROC, macro"."""
    head, class_ = score_name(str(row.get("name"))), str(row.get("class"))
    return head if class_ == "overall" else f"{head}, {class_name(class_)}"


def score_text(row: Mapping[str, Any]) -> str:
    """ "AUROC, macro 0.743 (95% interval 0.678 to 0.806)", with k of n of a proportion."""
    low, high, k, n = (row.get(key) for key in ("low", "high", "k", "n"))
    more = [f"95% interval {number(low)} to {number(high)}"] if low is not None else []
    more += [f"{k:,} of {n:,}"] if k is not None and n is not None else []
    return f"{score_label(row)} {number(row.get('value'))}" + (
        f" ({'; '.join(more)})" if more else ""
    )


def finding_text(row: Mapping[str, Any]) -> str:
    """ "Lungs blacked out: failed. ...", "Other sources: not checked: no two sources ..." """
    words = {"pass": "passed. ", "warn": "warned. ", "fail": "failed. "}
    status = words.get(str(row.get("status")), "not checked: ")
    sentence = prose(str(row.get("sentence") or "")).removeprefix("Not checked: ")
    return f"{row.get('title') or row.get('id')}: {status}{sentence}".strip()
