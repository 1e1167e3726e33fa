"""The table of public datasets, a row each, in the order in which a folder is tried."""

from hilum.datasets import (
    actualmed,
    chexpert,
    cohen,
    covid_ct,
    covid_cxnet,
    covid_xray_5k,
    covidx,
    figure1,
    kermany,
    mendeley,
    montgomery_shenzhen,
    nih,
    radiography,
    sarscov2_ct,
    v7_masks,
)
from hilum.datasets.base import Dataset
from hilum.types import HilumError, nearest_name

ROWS = (
    cohen.DATASET,
    kermany.DATASET,
    nih.DATASET,
    chexpert.DATASET,
    covid_xray_5k.DATASET,
    covidx.DATASET,
    radiography.DATASET,
    covid_cxnet.DATASET,
    figure1.DATASET,
    actualmed.DATASET,
    sarscov2_ct.DATASET,
    covid_ct.DATASET,
    mendeley.DATASET,
    montgomery_shenzhen.DATASET,
    v7_masks.DATASET,
)
DATASETS: dict[str, Dataset] = {row.card.name: row for row in ROWS}


def find_dataset(name: str) -> Dataset:
    """The dataset of that name; raises HilumError with the nearest name where there is none."""
    if name in DATASETS:
        return DATASETS[name]
    hint = nearest_name(name, DATASETS, "see `hilum data list`.")
    raise HilumError(f"a dataset must be one of {', '.join(DATASETS)}; got {name!r}; {hint}")
