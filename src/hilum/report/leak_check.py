"""What the search for leaks was able to compare: no green where patients are unknown.

What leaks cost published studies: Kapoor and Narayanan 2023, doi:10.1016/j.patter.2023.100804.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from hilum.report.run_folder import RunFolder

EARLIER = "Near duplicates and patients of the model's training not checked: an earlier version."


@dataclass(frozen=True, slots=True)
class DiagramBox:
    """One sentence, green or amber."""

    status: Literal["pass", "warn"]
    text: str


def boxes(run: RunFolder) -> list[DiagramBox]:
    """Next to the pairs that were found, or in their place; none where nothing was searched for."""
    split = run.section("split")
    if "leaks" not in split:
        return []
    clean = not split["leaks"]
    checked = split.get("checked")
    if isinstance(checked, Mapping):
        return _of_test(checked, clean)
    if run.results.get("mode") == "external":
        return [DiagramBox("warn", EARLIER)]
    return _of_split(run, clean)


def _of_test(checked: Mapping[str, Any], clean: bool) -> list[DiagramBox]:
    """An external test: its images against those that the model was built on."""
    notes = [DiagramBox("warn", str(sentence)) for sentence in checked.get("not_checked") or []]
    states = [checked.get(name) for name in ("files", "near_duplicates", "patients")]
    if not clean:
        return notes
    if all(state == "checked" for state in states) and not notes:
        text = "No image is a file or near duplicate, or of a patient, that the model was built on."
        return [DiagramBox("pass", text)]
    if states[1] == "checked":
        text = "Images checked: none is a file that the model was built on, or its near duplicate."
        return [DiagramBox("warn", text), *notes]
    return notes


def _of_split(run: RunFolder, clean: bool) -> list[DiagramBox]:
    """A run: its parts against each other."""
    if run.splits is not None and run.splits["part"].nunique() < 2:
        return [DiagramBox("warn", "All images are in one part: there is nothing to compare.")]
    unknown, every = _nameless(run)
    if unknown is None or (unknown == every and every):
        return [DiagramBox("warn", "Images checked; patients unknown, not checked.")]
    if unknown:
        text = f"Images checked; the patients of {unknown:,} of {every:,} are unknown, not checked."
        return [DiagramBox("warn", text)]
    text = "No image, patient or near duplicate was found on both sides."
    return [DiagramBox("pass", text)] if clean else []


def _nameless(run: RunFolder) -> tuple[int | None, int]:
    """How many images have no patient, None where that is not recorded; and how many there are."""
    tables: Sequence[pd.DataFrame | None] = (run.manifest, run.predictions)
    for table in tables:
        if table is not None and "patient_id" in table:
            images = table.drop_duplicates("sample_id")
            return int(images["patient_id"].isna().sum()), len(images)
    patients = run.section("n").get("patients")
    return (None if patients is None else 0), 0


def grouped_by(run: RunFolder, stated: str) -> str:
    """By what the split kept images together; a split by patient of unknown ones says so."""
    unknown, every = _nameless(run)
    if stated != "patient" or unknown is None or not unknown:
        return stated
    if unknown == every:
        return "near duplicate alone, as no patient is known"
    return f"patient, where known ({unknown:,} of {every:,} images have none), and near duplicate"
