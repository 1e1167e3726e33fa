"""The files of `--out`, each written whole or not at all."""

import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from hilum import files, recipes
from hilum.data import manifest as manifests
from hilum.experiment import clear_previous
from hilum.experiment.grid import GridResult
from hilum.experiment.source_task import CELL, SourceTaskResult
from hilum.files import cells, ours
from hilum.recipes import Recipe
from hilum.types import (
    HISTORY_COLUMNS,
    PREDICTION_COLUMNS,
    Finding,
    HilumError,
    LeftOut,
    Manifest,
    Results,
    Split,
)


def make_run_folder(out: Path) -> Path:
    """Make the output folder and its figures'; raises HilumError where that cannot be done."""
    files.require_own_run(out)
    figures = files.ensure_writable_folder(out / "figures", out)
    for folder in (out, figures, figures / "thumbnails"):
        files.remove_unfinished(folder)
    return out


def test_folder(out: Path) -> Path:
    """The same for a test of a finished model; the files of an earlier test are removed.

    Raises HilumError for the folder of a run, whose own figures the test would overwrite.
    """
    if (out / "model").is_dir() or (out / "work").is_dir():
        raise HilumError(
            f"the test of a model needs a folder of its own; got {str(out)!r}, which "
            "holds a run with its model; choose another --out."
        )
    clear_previous.clear(files.require_own_run(out))
    return make_run_folder(out)


def _of_the_start(path: Path) -> bool:
    """Whether a file says what was begun, and holds nothing of what was made."""
    return path.name in ("recipe.toml", ours.BASIS) or path.suffix == ".reading"


@contextmanager
def removing_empty_on_failure(out: Path) -> Iterator[None]:
    """Leave no empty `out` behind where a run is refused before it has made anything."""
    is_new = not out.exists()
    try:
        yield
    except HilumError:
        written = (path for path in out.rglob("*") if path.is_file() and not _of_the_start(path))
        if is_new and not any(written):
            shutil.rmtree(out, ignore_errors=True)
        raise


def write_run(
    out: Path,
    recipe: Recipe,
    manifest: Manifest,
    splits: Mapping[int, Split],
    grid_result: GridResult,
    results: Results,
) -> None:
    """Every table of a finished run, `results.json` last: where it exists, all the others do."""
    write_recipe(out, recipe)
    write_manifest(out, manifest)
    write_left_out(out, (*manifest.left_out, *grid_result.failed))
    write_splits(out, {seed: split.table for seed, split in splits.items()})
    write_history(out, grid_result.history)
    write_predictions(out, grid_result.predictions)
    write_sources(out, grid_result.sources)
    write_results(out, results)


def write_external(
    out: Path, manifest: Manifest, split: Split, predictions: pd.DataFrame, results: Results
) -> None:
    """The tables of an external test, `results.json` last."""
    write_manifest(out, manifest)
    write_left_out(out, manifest.left_out)
    write_splits(out, {0: split.table})
    write_predictions(out, predictions)
    write_results(out, results)


def write_left_out(out: Path, left_out: Sequence[LeftOut]) -> None:
    """`left_out.csv`: what was not used, why, and how many; a row for each name that is known."""
    rows = [
        (name, item.reason, 1 if item.names else item.count)
        for item in left_out
        for name in item.names or (item.what,)
    ]
    _csv(out / "left_out.csv", pd.DataFrame(rows, columns=["what", "reason", "count"]))


def write_across(out: Path, table: pd.DataFrame | None) -> None:
    """`across_sources.csv`: train-on x test-on, where several sources have several classes."""
    _csv_or_none(out / "across_sources.csv", table)


def write_look_alikes(out: Path, table: pd.DataFrame | None) -> None:
    """`look_alikes.csv`: path, label, source, modality, patient_id; where patients are unknown."""
    _csv_or_none(out / "look_alikes.csv", table)


def relist_tasks(out: Path, tasks: Iterable[str], failed: Sequence[LeftOut]) -> None:
    """`left_out.csv` with the tasks that failed this time in the place of those that did before."""
    words = {"what": "str", "reason": "str"}
    table = pd.read_csv(out / "left_out.csv", dtype=words, keep_default_na=False)
    others = table[~table["what"].isin([f"task {name}" for name in tasks])]
    others = cells.plain_table(others)
    rows = [LeftOut(*row) for row in others.itertuples(index=False, name=None)]
    write_left_out(out, [*rows, *failed])


def write_recipe(out: Path, resolved: Recipe) -> None:
    """`recipe.toml`, every default spelt out."""
    _text(out / "recipe.toml", recipes.as_toml(resolved))


def write_manifest(out: Path, manifest: Manifest) -> None:
    """`manifest.parquet`."""
    manifests.save_manifest(manifest, out / "manifest.parquet")


def write_splits(out: Path, splits: dict[int, pd.DataFrame]) -> None:
    """`splits.csv`: seed, sample_id, fold, part."""
    rows = pd.concat([table.assign(seed=seed) for seed, table in splits.items()])
    _csv(out / "splits.csv", rows[["seed", "fold", "part", "sample_id"]])


def write_history(out: Path, history: pd.DataFrame) -> None:
    """`history.csv`: HISTORY_COLUMNS first, then what a stage adds."""
    first = [name for name in HISTORY_COLUMNS if name in history]
    _csv(out / "history.csv", history[[*first, *history.columns.difference(first, sort=False)]])


def write_predictions(out: Path, predictions: pd.DataFrame, name: str = "predictions.csv") -> None:
    """`predictions.csv`: PREDICTION_COLUMNS, then p_<class>."""
    first = list(PREDICTION_COLUMNS)
    rest = predictions.columns.difference(first, sort=False)
    _csv(out / name, predictions[[*first, *rest]])


def write_sources(out: Path, sources: Mapping[str, SourceTaskResult]) -> None:
    """`source_predictions.csv`: the source tasks' own tests, with their classes' columns."""
    tables = [result.predictions.assign(cell=f"{cell}: {CELL}") for cell, result in sources.items()]
    if tables:
        write_predictions(out, pd.concat(tables, ignore_index=True), "source_predictions.csv")
    else:
        (out / "source_predictions.csv").unlink(missing_ok=True)  # an earlier run's


def write_later(out: Path, predictions: pd.DataFrame | None) -> None:
    """`later_predictions.csv`: the second test, where the recipe has one."""
    if predictions is None or predictions.empty:
        (out / "later_predictions.csv").unlink(missing_ok=True)  # an earlier run's
    else:
        write_predictions(out, predictions, "later_predictions.csv")


def write_results(out: Path, results: Results) -> None:
    """`results.json`; what is undefined (0 of 0) is null, since JSON has no nan."""
    plain = _plain(results.as_json())
    _text(
        out / "results.json",
        json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    )


def write_findings(out: Path, findings: Sequence[Finding]) -> None:
    """`findings.csv`: one row per audit."""
    _csv(out / "findings.csv", pd.DataFrame([asdict(finding) for finding in findings]))


def _csv_or_none(path: Path, table: pd.DataFrame | None) -> None:
    """The table, or no file where there is none; an earlier run's is removed."""
    path.unlink(missing_ok=True)
    if table is not None and len(table):
        _csv(path, table)


def _plain(value: Any) -> Any:
    """Only what JSON can hold: numpy's scalars unwrapped, nan and infinities as None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def _text(path: Path, text: str) -> None:
    with files.atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _csv(path: Path, table: pd.DataFrame) -> None:
    with files.atomic_write(path) as temporary:
        cells.write_csv(table, temporary)
