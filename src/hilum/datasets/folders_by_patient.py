"""Whether folders that should be classes are rather patients, as every PACS export has them."""

import itertools
import re
from pathlib import Path

import pandas as pd

from hilum.datasets.patients import NUMBERED
from hilum.datasets.vocabulary import CLASSES, plain_term
from hilum.types import HilumError

MANY = 5  # folders; fewer may be classes with a patient each
SPARSE = 1.5  # images to a folder: below it no classifier can be meant
SHARD = re.compile(r"[A-Za-z]{0,3}\d{1,4}")  # the first letters of all that lies in a folder
FACTS = {"patient_id": "one patient", "study_uid": "one study"}


def reason(rows: pd.DataFrame) -> str:
    """Why the class folders (`finding`) look like patients, or nothing where they do not.

    They do where most are named by the PatientID of the images in them; or where there are MANY,
    none is named like a known class, and each has images of one patient or study only, is called
    patient 12 or the like, or has about one image. So they do where all that lies in them goes on
    as their names begin: p10/p10000032, as MIMIC-CXR has it.
    """
    folders = rows["finding"].nunique()
    named = _named_by_patient(rows)
    if named * 2 > folders > 1:
        return f"the name of {named:,} is the PatientID of its images"
    names = rows["finding"].drop_duplicates()
    if folders > 1 and all(map(_is_shard, names, rows.groupby("finding", sort=False)["path"])):
        return f"{names.iloc[0]} holds folders that are each called {names.iloc[0]} and a number"
    if folders < MANY or any(plain_term(name) in CLASSES for name in names):
        return ""
    for column, what in FACTS.items():
        if column in rows and _each_one(rows, column):
            return f"each holds images of {what}"
    if all(NUMBERED.match(name) for name in names):
        return f"they are called {names.iloc[0]} and the like"
    return "about one image to a folder" if len(rows) < SPARSE * folders else ""


def refusal(root: Path, rows: pd.DataFrame, why: str) -> HilumError:
    """What to say of folders that look like patients for the reason `why`."""
    return HilumError(
        f"{root} must have a folder for each class, or a table of labels; got "
        f"{rows['finding'].nunique():,} folders with {len(rows):,} images, and the folders look "
        f"like patients ({why}); give labels with --labels CSV, or sort the images into class "
        "folders."
    )


def _is_shard(name: str, group: tuple[str, "pd.Series[str]"]) -> bool:
    """Whether each image in the folder `name` lies in one that has this name and more digits."""
    inner = re.compile(rf"{re.escape(name)}\d{{2,}}")
    below = (Path(path).parts for path in group[1])
    return SHARD.fullmatch(name) is not None and all(
        any(part == name and inner.fullmatch(next_) for part, next_ in itertools.pairwise(parts))
        for parts in below
    )


def _named_by_patient(rows: pd.DataFrame) -> int:
    """Folders that are named after the one patient of all their images."""
    if "patient_id" not in rows:
        return 0
    return sum(
        ids.notna().all() and ids.nunique() == 1 and _names(str(folder), str(ids.iloc[0]))
        for folder, ids in rows.groupby("finding")["patient_id"]
    )


def _names(folder: str, patient: str) -> bool:
    """Whether the folder's name is the identifier, or a word of it is."""
    words = {word.casefold() for word in re.split(r"[\W_]+", folder)}
    return plain_term(folder) == plain_term(patient) != "" or patient.casefold() in words


def _each_one(rows: pd.DataFrame, column: str) -> bool:
    """Whether every folder has one value that no other folder has."""
    stated = rows[rows[column].notna()]
    per_folder = stated.groupby("finding")[column].nunique()
    per_value = stated.groupby(column)["finding"].nunique()
    return (
        len(per_folder) == rows["finding"].nunique()
        and bool((per_folder == 1).all())
        and bool((per_value == 1).all())
    )
