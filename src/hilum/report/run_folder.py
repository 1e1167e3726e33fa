"""What a finished run left in its folder, read back; every part but one may be absent."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hilum.files import cells
from hilum.types import (
    HISTORY_COLUMNS,
    PREDICTION_COLUMNS,
    SPLIT_COLUMNS,
    HilumError,
    MissingError,
    Results,
    require_columns,
)

TEXT_COLUMNS = (
    *("cell", "sample_id", "path", "patient_id", "source", "label", "part", "stage"),
    *("what", "reason"),
)
OWN_DATA = ("dicom", "folder", "table")  # card names of data that is the user's, not published


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run folder: the record of `results.json`, and its tables (None where not recorded)."""

    folder: Path
    results: Mapping[str, Any]
    predictions: pd.DataFrame | None = None
    splits: pd.DataFrame | None = None
    history: pd.DataFrame | None = None
    manifest: pd.DataFrame | None = None
    left_out: pd.DataFrame | None = None
    across: pd.DataFrame | None = None  # AUROC by the source trained on and the source tested on
    recipe: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()  # what could not be read and is not worth failing for

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the model's outputs."""
        return [str(name) for name in self.results.get("classes") or []]

    @property
    def cell(self) -> str:
        """The grid cell that the report shows in full: the model's, else the first one scored."""
        chosen = self.section("model").get("cell")
        cells = [row.get("cell") for row in self.scores]
        return str(chosen if chosen is not None else next(iter(cells), ""))

    @property
    def own_data(self) -> bool:
        """Whether any image is the user's own, so that file names may identify people."""
        tables = (self.predictions, self.manifest)
        ids = [table["sample_id"].astype(str) for table in tables if table is not None]
        return any(one.str.split("/").str[0].isin(OWN_DATA).any() for one in ids)

    def record(self) -> Results:
        """`results.json` as this version writes it.

        Raises HilumError where it is another version's, or damaged.
        """
        try:
            return Results.from_json(self.results)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HilumError(
                f"{self.folder / 'results.json'} must be as hilum wrote it; got "
                f"{type(error).__name__}; run the study again."
            ) from error

    def sha256(self, sample_id: str) -> str:
        """Of an image's file, as the run has read it; "" where that is not recorded."""
        if self.manifest is None or "sha256" not in self.manifest:
            return ""
        rows = self.manifest.loc[self.manifest["sample_id"] == sample_id, "sha256"]
        return str(rows.iloc[0]) if len(rows) and pd.notna(rows.iloc[0]) else ""

    def section(self, name: str) -> dict[str, Any]:
        """A dictionary of `results.json`, empty where it is not recorded."""
        value = self.results.get(name)
        return dict(value) if isinstance(value, Mapping) else {}

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A list of dictionaries of `results.json`, empty where it is not recorded."""
        value = self.results.get(name)
        return [dict(row) for row in value or [] if isinstance(row, Mapping)]

    @property
    def scores(self) -> list[dict[str, Any]]:
        """The scores of this question's own cells; those of its tasks are in their reports."""
        tasks = tuple(f"{row.get('name')}: " for row in self.rows("tasks"))
        return [row for row in self.rows("scores") if not str(row.get("cell")).startswith(tasks)]

    def chosen(self) -> pd.DataFrame | None:
        """Predictions of the reported cell, or None where there are none."""
        if self.predictions is None:
            return None
        own_rows = self.predictions[self.predictions["cell"] == self.cell]
        return None if own_rows.empty else own_rows.reset_index(drop=True)


def read_run(folder: Path) -> RunFolder:
    """Read a run folder (DESIGN: `results.json` and the tables next to it).

    Raises MissingError without `results.json`, HilumError where a file cannot be read.
    """
    results = _results(folder / "results.json")
    recipe, faults = _recipe(folder / "recipe.toml")
    classes = [f"p_{name}" for name in results.get("classes") or []]
    return RunFolder(
        folder=folder,
        results=results,
        predictions=_csv(folder / "predictions.csv", (*PREDICTION_COLUMNS, *classes)),
        splits=_csv(folder / "splits.csv", SPLIT_COLUMNS),
        history=_csv(folder / "history.csv", HISTORY_COLUMNS),
        manifest=_parquet(folder / "manifest.parquet"),
        left_out=_csv(folder / "left_out.csv", ("what", "reason")),
        across=_csv(folder / "across_sources.csv", ("train", "test", "auroc")),
        recipe=recipe,
        faults=faults,
    )


def read_record(folder: Path) -> Results:
    """The same of `results.json` alone. Raises as `read` and `RunFolder.record`."""
    return RunFolder(folder, _results(folder / "results.json")).record()


def _results(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingError(
            f"a finished run's folder has results.json; got {str(path.parent)!r} without it; "
            "give the folder that --out named."
        )
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise HilumError(f"{path} must be JSON; got {error}; run the study again.") from error
    if not isinstance(results, dict):
        raise HilumError(
            f"{path} must hold an object; got {type(results).__name__}; run the study again."
        )
    return results


def _recipe(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The resolved recipe; a broken one is a fault to print, since all scores are there without."""
    if not path.is_file():
        return {}, ()
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), ()
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError) as error:
        return {}, (f"recipe.toml could not be read ({error}), so figures it asks for are absent.",)


def _csv(path: Path, wanted: tuple[str, ...]) -> pd.DataFrame | None:
    if not path.is_file() or path.stat().st_size == 0:
        return None
    text = dict.fromkeys(TEXT_COLUMNS, "str")
    try:
        table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
    except (ValueError, UnicodeError) as error:
        raise HilumError(
            f"{path} must be a CSV table; got {error}; run the study again."
        ) from error
    require_columns(table, wanted, path.name)
    return None if table.empty else cells.plain_table(table)


def _parquet(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise HilumError(f"{path} must be a Parquet table; got {error}.") from error
    require_columns(table, ("sample_id", "label", "source"), path.name)
    return None if table.empty else table
