"""Patient identifiers that name nobody: what de-identification and empty forms leave behind.

What de-identification removes and replaces: DICOM PS3.15 annex E,
https://dicom.nema.org/medical/dicom/current/output/chtml/part15/chapter_E.html
"""

import re
from dataclasses import dataclass

import pandas as pd

from hilum.data import missing

ANONYMOUS = {
    "anonymous", "anonymouspatient", "patientanonymous", "anon", "anonym", "anonymised",
    "anonymized", "anonymisiert", "anonyme", "anonimo", "anonymizedpatient", "anonymisedpatient",
    "anonpatient", "patientanon", "deid", "deidentified", "deidentifiedpatient", "pseudonym",
    "removed", "redacted", "hidden", "masked", "deleted", "withheld", "confidential", "private",
    "noid", "noname", "nopatientid", "unnamed", "unknownpatient", "patientunknown", "placeholder",
    "dummy", "default", "id", "pid", "patient", "patientid", "patientname", "name",
    "johndoe", "doejohn", "janedoe", "doejane", "匿名",
}  # fmt: skip
FILLER = re.compile(r"0+|-1|9{3,}|1{4,}|x{2,}|\*+|1234(5(6(7(89?)?)?)?)?0?", re.IGNORECASE)
LEAST = 10  # films of one identifier below which a share proves nothing
TIMES = 5  # so often as the next identifier: a person with that many films would be a rarity
FILLER_LEAST, FILLER_TIMES = 4, 3  # of identifiers that look like a filler, such as 0000
YEARS = 5.0  # between two films of one person; more in one archive is a rarity


@dataclass(frozen=True, slots=True)
class _Holder:
    """What the films of one identifier have in common."""

    films: int
    classes: int
    of_one_age_and_sex: bool  # both known, on every film
    of_many: bool  # both sexes, or ages that no one person has
    slices: bool  # CT: one person has hundreds


def dropped(table: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """`patient_id` without placeholders, and a note on each.

    `table` has patient_id, and label, age, sex and modality where they are known, one row per
    image. A placeholder is a word such as ANONYMOUS; a filler such as 0000 on several films; or
    one identifier on most radiographs of several classes, at least `TIMES` as often as any other,
    unless age and sex are the same on all of them.
    """
    patients = missing.blanked(table["patient_id"])
    counts = patients.value_counts()
    # on one image it divides no one from anyone
    nobody = [name for name in counts.index[counts > 1] if _is_anonymous(str(name))]
    shared = _commonest_placeholder(table, patients, counts.drop(nobody))
    nobody += [] if shared is None else [shared]
    notes = [_note(str(name), int(counts[name]), len(table)) for name in nobody]
    return patients.mask(patients.isin(nobody), None), notes


def _is_anonymous(name: str) -> bool:
    return re.sub(r"[\W_]+", "", name.casefold()) in ANONYMOUS


def _commonest_placeholder(
    table: pd.DataFrame, patients: pd.Series, counts: pd.Series
) -> str | None:
    """The most common identifier, where its films show that it is not a person."""
    if counts.empty:
        return None
    name, films = str(counts.index[0]), int(counts.iloc[0])
    following = int(counts.iloc[1]) if len(counts) > 1 else 0
    holder = _holder_of(table[patients == name])
    if holder.classes < 2 or holder.slices or holder.of_one_age_and_sex:
        return None
    if FILLER.fullmatch(name):
        return name if films >= FILLER_LEAST and films > FILLER_TIMES * following else None
    most = films >= LEAST and 2 * films > counts.sum()
    return name if most and (holder.of_many or films >= TIMES * following) else None


def _holder_of(rows: pd.DataFrame) -> _Holder:
    known = rows.reindex(columns=["label", "age", "sex", "modality"])
    ages = pd.to_numeric(known["age"], errors="coerce")
    span = float(ages.max() - ages.min()) if ages.notna().any() else 0.0
    sexes = set(known["sex"].dropna().astype(str).str.upper().str[0])
    stated = bool(ages.notna().all() and known["sex"].notna().all())
    return _Holder(
        len(rows),
        int(known["label"].nunique()),
        stated and span <= YEARS and len(sexes) == 1,
        span > YEARS or {"F", "M"} <= sexes,
        bool(known["modality"].astype(str).str.upper().eq("CT").all()),
    )


def _note(name: str, films: int, total: int) -> str:
    share = f"all {films:,} images" if films == total else f"{films:,} of {total:,} images"
    return (
        f"The patient identifier {name!r} of {share} is a placeholder, not a person. "
        "The patients of these images are unknown."
    )
