"""Which convention the lung masks of a run follow, and what it means to mix two."""

import pandas as pd

from hilum.datasets.base import NOT_STATED, Convention
from hilum.datasets.registry import DATASETS
from hilum.phantom.generate import DATASET

DRAWN = Convention("beside the heart", "the phantom's truth")
APART = 0.90  # Dice of one convention's masks on the other's: V7's and OpenIST's, 275 films


def mask_convention(dataset: str) -> Convention:
    """The convention of a dataset's masks, by its name in the manifest."""
    if dataset == DATASET:
        return DRAWN
    row = DATASETS.get(dataset)
    return (row.card.convention if row else None) or Convention(NOT_STATED)


def followed(table: pd.DataFrame) -> str:
    """The convention that Dice follows in a manifest's table: one, or that of each set."""
    conventions = {name: str(mask_convention(name)) for name in _datasets(table)}
    if len(set(conventions.values())) == 1:
        return next(iter(conventions.values()))
    return "; ".join(f"{name}: {convention}" for name, convention in conventions.items())


def note(table: pd.DataFrame) -> str:
    """What a reader should know where sets of different conventions are mixed, or ""."""
    kinds = {name: mask_convention(name).field for name in _datasets(table)}
    if len(set(kinds.values())) < 2:
        return ""
    sets = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
    return (
        f"lung masks of one convention are needed; got a mixture: {sets}. Masks that "
        "end at the heart's border and masks that continue behind it have a Dice of "
        f"about {APART:.2f} with each other though both are right: read the scores set "
        "by set, or train on one of them."
    )


def _datasets(table: pd.DataFrame) -> list[str]:
    return sorted(set(table["dataset"].dropna().astype(str)))
