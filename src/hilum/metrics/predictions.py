"""A predictions table, checked, as arrays: one sample of images per seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.types import (
    PREDICTION_COLUMNS,
    HilumError,
    Labels,
    Probabilities,
    nearest_name,
    require_columns,
)

TOLERANCE = 1e-3  # how far a row of probabilities may be from 1: tables are rounded


@dataclass(frozen=True, slots=True)
class SeedPredictions:
    """What one seed predicted, one row per image; folds are pooled."""

    labels: Labels
    p: Probabilities  # (image, class)
    patients: npt.NDArray[np.int64]  # (image,) patient numbers, shared by all seeds
    folds: npt.NDArray[np.int64]  # (image,) fold numbers from 0
    ids: npt.NDArray[np.object_]  # (image,) sample_id

    @property
    def predicted(self) -> Labels:
        """(image,) the class with the highest probability, the first of equals."""
        return self.p.argmax(1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class CellPredictions:
    """All seeds of one cell, and what the intervals must know of them."""

    cell: str
    classes: tuple[str, ...]
    seeds: tuple[SeedPredictions, ...]
    patients: int
    unknown: int  # images without a patient: each counts as a patient of its own

    @property
    def independent(self) -> bool:
        """Whether there is one seed, and no patient with a second image."""
        return len(self.seeds) == 1 and len(self.seeds[0].labels) == self.patients

    @property
    def unit(self) -> str:
        """What is drawn and counted: patients, or images where no patient is recorded."""
        return "image" if self.unknown == self.patients else "patient"

    @property
    def assumption(self) -> str:
        """What its intervals and tests take for independent, as one sentence."""
        images = len(np.unique(np.concatenate([sample.ids for sample in self.seeds])))
        if self.unit == "image":
            return (
                f"No patient is known: each of {images:,} images counts as a patient of "
                "its own. Where people have several images, intervals are too narrow "
                "and p values too small."
            )
        if self.unknown:
            return (
                f"{self.unknown:,} of {images:,} images are of unknown patients and "
                "count as patients of their own. Intervals may be too narrow."
            )
        if images == self.patients:
            return f"Each of {images:,} images is of another patient."
        return f"Patients are the unit: {self.patients:,} with {images:,} images."


def read_predictions(
    predictions: pd.DataFrame, classes: Sequence[str], cell: str | None = None
) -> CellPredictions:
    """Arrays of one cell of a predictions table (PREDICTION_COLUMNS and p_<class>).

    Without a `cell` the table must hold just one. Raises HilumError for absent columns, an unknown
    cell, labels outside `classes` and probabilities that are not any.
    """
    columns = [f"p_{name}" for name in classes]
    require_columns(predictions, (*PREDICTION_COLUMNS, *columns), "a predictions table")
    rows, name = _of_cell(predictions, cell)
    labels = _labels(rows["label"], classes)
    p = rows[columns].to_numpy(dtype=np.float64)
    _check_probabilities(p, rows)
    patients, count, unknown = _patients(rows)
    folds = pd.factorize(rows["fold"])[0].astype(np.int64)
    numbers, seeds = pd.factorize(rows["seed"], sort=True)
    ids = rows["sample_id"].to_numpy(dtype=object)
    parts = [numbers == i for i in range(len(seeds))]
    return CellPredictions(
        name,
        tuple(classes),
        tuple(SeedPredictions(labels[m], p[m], patients[m], folds[m], ids[m]) for m in parts),
        count,
        unknown,
    )


def _of_cell(predictions: pd.DataFrame, cell: str | None) -> tuple[pd.DataFrame, str]:
    cells = [str(name) for name in predictions["cell"].unique()]
    if not cells:
        raise HilumError("scores need at least one prediction; got an empty table; predict first.")
    if cell is None and len(cells) > 1:
        raise HilumError(f"scores need one cell; got {len(cells)}: {', '.join(cells)}; choose one.")
    wanted = cells[0] if cell is None else cell
    rows = predictions[predictions["cell"].astype(str) == wanted]
    if rows.empty:
        hint = nearest_name(wanted, cells)
        raise HilumError(f"there are no predictions of cell {wanted!r}; {hint}")
    return rows, wanted


def _labels(labels: pd.Series, classes: Sequence[str]) -> Labels:
    if labels.isna().any():
        raise HilumError(
            f"every image needs a label to be scored; got {int(labels.isna().sum())} of "
            f"{len(labels)} without one; add the labels or leave these images out."
        )
    codes = pd.Index(list(classes)).get_indexer(labels.astype(str))
    if (codes < 0).any():
        odd = str(labels[codes < 0].iloc[0])
        raise HilumError(
            f"labels must be one of {', '.join(classes)}; got {odd!r}; "
            + nearest_name(odd, classes, "choose one of these.")
        )
    return codes.astype(np.int64)


def _check_probabilities(p: Probabilities, rows: pd.DataFrame) -> None:
    inside = np.isfinite(p) & (p >= -TOLERANCE) & (p <= 1 + TOLERANCE)
    total = np.where(inside, p, 0).sum(1)
    bad = ~inside.all(1) | (np.abs(total - 1) > TOLERANCE)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise HilumError(
            "probabilities must lie from 0 to 1 and add up to 1 over the classes; got "
            f"{[round(float(x), 4) for x in p[first]]} for '{rows['sample_id'].iloc[first]}' and "
            f"{int(bad.sum()) - 1} more such rows; predict these images again."
        )


def _patients(rows: pd.DataFrame) -> tuple[npt.NDArray[np.int64], int, int]:
    """Patient numbers (row,), how many patients, and how many images have none recorded."""
    unknown = rows["patient_id"].isna()
    own = "image:" + rows["sample_id"].astype(str)
    named = "patient:" + rows["patient_id"].astype(str)
    numbers, names = pd.factorize(named.where(~unknown, own))
    images = int(rows.loc[unknown, "sample_id"].nunique())
    return numbers.astype(np.int64), len(names), images
