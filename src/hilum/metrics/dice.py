"""How well one mask covers another: Dice's coefficient, and its mean over patients' images."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.metrics import bootstrap
from hilum.types import HilumError, Score

Masks = npt.NDArray[np.bool_]  # (..., height, width)


def dice(predicted: Masks, true: Masks) -> npt.NDArray[np.float64]:
    """(..., height, width) twice -> (...): 2 |A and B| / (|A| + |B|); two empty masks agree, 1.

    Dice 1945, doi:10.2307/1932409; equation 3 of Zhang & Liu (study 003). Raises HilumError for
    masks of different shapes.
    """
    if predicted.shape != true.shape:
        raise HilumError(
            f"Dice compares masks of one size; got {predicted.shape} and {true.shape}; resize one."
        )
    shared = np.logical_and(predicted, true).sum((-2, -1), dtype=np.int64)
    sizes = predicted.sum((-2, -1), dtype=np.int64) + true.sum((-2, -1), dtype=np.int64)
    return np.where(sizes > 0, 2 * shared / np.maximum(sizes, 1), 1.0)


def mean(table: pd.DataFrame, name: str, cell: str, of: str = "overall", seed: int = 0) -> Score:
    """Mean of the column `name` over images, with a 95% BCa interval by patient.

    `table` has a row per image; an image without `patient_id` counts as a patient of its own.
    """
    who = table["patient_id"].astype("object").where(table["patient_id"].notna(), table.index)
    groups = table[name].astype(float).groupby(who.astype("str"))
    sums, counts = groups.sum().to_numpy(), groups.count().to_numpy().astype(np.float64)

    def statistic(weights: bootstrap.Array) -> bootstrap.Array:
        return ((weights @ sums) / (weights @ counts))[:, None]

    value = np.array([table[name].mean()])
    low, high = np.array([np.nan]), np.array([np.nan])
    if len(sums) > 1:
        drawn = bootstrap.replicate(statistic, len(sums), np.random.default_rng(seed))
        low, high = bootstrap.bca(value, drawn, bootstrap.jackknife(statistic, len(sums)))
    ends = [float(end) if np.isfinite(end) else None for end in (low[0], high[0])]
    has_patients = table["patient_id"].notna().any()
    method = f"bootstrap by {'patient' if has_patients else 'image'}, BCa"
    return Score(cell, name, of, float(value[0]), None, len(table), ends[0], ends[1], method)
