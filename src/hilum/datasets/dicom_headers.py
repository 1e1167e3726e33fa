"""What DICOM headers know about the images of a manifest in the making."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from hilum import images
from hilum.datasets.dicom_kinds import KIND
from hilum.types import LeftOut

Progress: TypeAlias = Callable[[int, int], None] | None

FACTS = ("patient_id", "view", "modality", "age", "sex", KIND)
KEYS = ("instance_uid", "study_uid", "accession")  # by which a table of labels may name an image
ORIGIN = ("institution", "manufacturer", "station")  # what may say where an image was made
ALL = (*FACTS, *KEYS, *ORIGIN)
_DICOM_SUFFIXES = {"", ".dcm", ".dicom", ".ima"}


def is_dicom(path: str | Path) -> bool:
    """Whether a file that `images.list_images` has found is DICOM, by its name alone."""
    suffix = Path(path).suffix.lower()
    return suffix in _DICOM_SUFFIXES or suffix[1:].isdigit()


def with_facts(
    rows: pd.DataFrame, progress: Progress = None, workers: images.Readers = 1
) -> tuple[pd.DataFrame, list[LeftOut]]:
    """Fill in FACTS, KEYS and ORIGIN from DICOM headers where `rows` does not know them.

    Rows whose header cannot be read are dropped and returned as left out. `workers` processes read
    them.
    """
    with_header = [index for index, path in rows["path"].items() if is_dicom(path)]
    facts: dict[Any, dict[str, Any]] = {}
    faults: dict[Any, LeftOut] = {}
    paths = [str(rows.at[index, "path"]) for index in with_header]
    headers = images.read_headers(paths, progress, workers)
    for index, path, header in zip(with_header, paths, headers, strict=True):
        if isinstance(header, str):
            faults[index] = LeftOut(path, header)
        else:
            facts[index] = header
    of_headers = pd.DataFrame.from_dict(facts, orient="index").reindex(columns=list(ALL))
    rows = rows.reindex(columns=[*rows.columns, *(n for n in ALL if n not in rows.columns)])
    filled = rows.astype(object).combine_first(of_headers.astype(object))[list(rows.columns)]
    # a column that no header fills would be one of floats, which have no `.str`
    kept = filled.drop(index=list(faults)).astype(object).reset_index(drop=True)
    return kept, list(faults.values())
