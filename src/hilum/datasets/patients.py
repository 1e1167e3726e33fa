"""The last step for a user's own images: who is on them, and the manifest."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hilum.data import manifest, placeholders
from hilum.data.tidy import SEXES
from hilum.datasets import columns, dicom_kinds
from hilum.datasets.part_folders import with_parts
from hilum.datasets.sources import with_sources
from hilum.types import LeftOut, Manifest

PATIENTS = "patients.csv"  # optional, in the folder: a column of files and one of patients
NUMBERED = re.compile(r"(?:patient|person|subject)[-_ ]?0*(\d+)(?=[-_ .]|$)", re.IGNORECASE)


def build_manifest(
    root: Path,
    rows: pd.DataFrame,
    kind: str,
    left_out: Sequence[LeftOut],
    notes: Sequence[str],
    source_tag: str = "",
) -> Manifest:
    """Make the manifest of `rows`; kind is "folder", "table" or "dicom".

    Where no source is known yet, the DICOM headers tell (`sources.with_sources`).
    Where no patient is known yet, `patients.csv` tells, or the file names do if every one begins
    with "patient", "person" or "subject" and a number. One number in two classes counts as one
    person, which can only keep images together that might have stayed apart.
    """
    rows, origin = with_sources(rows, source_tag)
    images = rows if "patient_id" in rows.columns else rows.assign(patient_id=None)
    persons, placeholder = placeholders.dropped(images)
    images = images.assign(patient_id=persons)
    if images["patient_id"].isna().all():
        images = images.assign(patient_id=_patients(root, images["path"]))
        persons, more_placeholders = placeholders.dropped(images)
        images, placeholder = images.assign(patient_id=persons), [*placeholder, *more_placeholders]
    images, separated, doubts = dicom_kinds.set_apart(images)
    images, parted = with_parts(images)
    doubts = [*doubts, *_doubts(images["patient_id"]), *_namesakes(images)]
    all_notes = (*notes, *origin, *parted, *placeholder, *doubts)
    return manifest.assemble_manifest(images, kind, (*left_out, *separated), all_notes, root.parent)


def _patients(root: Path, paths: pd.Series) -> pd.Series:
    file = root / PATIENTS
    if file.is_file():
        return _listed_patients(file, paths)
    numbers = [_number(path) for path in paths]
    return pd.Series(None if None in numbers else numbers, index=paths.index, dtype=object)


def _number(path: str) -> str | None:
    hit = NUMBERED.match(Path(path).name)
    return hit[1] if hit else None


def _listed_patients(file: Path, paths: pd.Series) -> pd.Series:
    """Patients from a table whose files are paths below the folder, or names alone."""
    table = columns.read_text(file)
    columns_by_role = columns.find_columns(table, None, ("path", "patient_id"), str(file))
    by_file = dict(
        zip(table[columns_by_role["path"]], table[columns_by_role["patient_id"]], strict=True)
    )
    below = paths.map(lambda path: os.path.relpath(path, file.parent).replace(os.sep, "/"))
    names = paths.map(lambda path: Path(path).name)
    return below.map(by_file).fillna(names.map(by_file))


def _doubts(patients: pd.Series) -> list[str]:
    unknown = int(patients.isna().sum())
    if not unknown:
        return []
    share = (
        "every image" if unknown == len(patients) else f"{unknown:,} of {len(patients):,} images"
    )
    return [
        f"The patient of {share} is unknown: images of one person may be on both sides "
        f"of a split, which inflates every score. To fix this, put a {PATIENTS} "
        "(columns: path, patient_id) next to the images."
    ]


def _namesakes(rows: pd.DataFrame) -> list[str]:
    """A note on numbers of patients that several sources have given out.

    One person at two hospitals, or two people? Each number counts as one, as a split must: taking
    one person for two would let training and test share them.
    """
    if "source" not in rows:
        return []
    of_patients = rows[rows["patient_id"].notna() & rows["source"].notna()]
    sources = of_patients.groupby("patient_id")["source"].nunique()
    shared = sources.index[sources > 1]
    if not len(shared):
        return []
    alike = of_patients[of_patients["patient_id"].isin(shared)]
    several = len(shared) > 1
    return [
        f"{len(shared):,} patient number{'s occur' if several else ' occurs'} at "
        f"several sources{_of_both_sexes(alike)}. Each counts as one person, so that no "
        "person is on both sides of a split. If sources number their own patients, put "
        "the source before the number (A-7, B-7); otherwise the counts of patients are "
        "too low."
    ]


def _of_both_sexes(rows: pd.DataFrame) -> str:
    if "sex" not in rows:
        return ""
    sexes = rows["sex"].astype(object).map(lambda word: SEXES.get(str(word).strip().lower()))
    torn = int((sexes.groupby(rows["patient_id"]).nunique() > 1).sum())
    return f", {torn:,} of them with both sexes, so of different people" if torn else ""
