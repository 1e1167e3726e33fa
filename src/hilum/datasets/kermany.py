"""Chest X-rays of children from Guangzhou in `train`, `test`, `val` (Kermany et al. 2018).

`label` is normal, bacterial_pneumonia or viral_pneumonia: the cause is in the file name.
Numbers are given out per cause: `person7_bacteria` and `person7_virus` are different children.
"""

import re
from pathlib import Path

from hilum.datasets.assemble import assemble
from hilum.datasets.base import Dataset, DatasetCard, Download
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="kermany",
    title="Chest X-Ray Images (Pneumonia)",
    folder="chest_xray",
    other_folders=("ChestXRay2017", "chest-xray-pneumonia"),
    licence="CC BY 4.0",
    citation="Kermany et al. 2018, Identifying Medical Diagnoses and Treatable Diseases by "
    "Image-Based Deep Learning, Cell 172, doi:10.1016/j.cell.2018.02.010",
    homepage="https://data.mendeley.com/datasets/rscbjbr9sj/2",
    download=(
        Download(
            "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
            "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded",
            None,
            "ChestXRay2017.zip",
        ),
    ),
    access="Fetch ChestXRay2017.zip from Mendeley Data, or chest-xray-pneumonia from Kaggle, and "
    "put chest_xray/ with train/, test/ and, on Kaggle, val/ into your data folder.",
    modality="X-ray",
    label_map={
        "NORMAL": "normal",
        "PNEUMONIA": "pneumonia",
        "PNEUMONIA, bacteria": "bacterial_pneumonia",
        "PNEUMONIA, virus": "viral_pneumonia",
    },
    population="children of 1 to 5 years, Guangzhou Women and Children's Medical Center",
    single_age="children",
    patient_ids=True,
    known_shortcuts=(
        "paediatric: against adults, the size of the thorax gives the label away",
        "exact duplicates within each part",
        "the published validation part has 16 images",
    ),
)
LAYOUT = r"(?P<part>train|val|test)/(?P<folder>NORMAL|PNEUMONIA)/(?P<stem>[^/]+)\.\w+"
PARTS = {"train": "train", "val": "validation", "test": "test"}
PATIENT = re.compile(
    r"(person\d+_(?:bacteria|virus)|(?:NORMAL2-)?IM-\d+|(?:BACTERIA|VIRUS|NORMAL)-\d+)[-_]\d+"
)  # the release on Kaggle, and the later one on Mendeley Data


def recognises(folder: Path) -> bool:
    """Whether there are training folders NORMAL and PNEUMONIA."""
    return has(folder, "train/NORMAL", "train/PNEUMONIA")


def read(folder: Path) -> Manifest:
    """All images, with the child's number where the file name has one."""
    root, tally = as_path(folder), Tally()
    rows = match_paths(walk(root, tally), LAYOUT, tally)
    findings = [_finding(*pair) for pair in zip(rows["folder"], rows["stem"], strict=True)]
    rows = rows.assign(
        finding=findings,
        label=[CARD.label_map[finding] for finding in findings],
        official_part=rows["part"].map(PARTS),
        patient_id=rows["stem"].map(_patient),
    )
    return assemble(CARD, root, rows, tally, _notes(int(rows["patient_id"].isna().sum())))


def _finding(folder: str, stem: str) -> str:
    if folder == "NORMAL":
        return folder
    cause = re.search("bacteria|virus", stem, re.IGNORECASE)
    return f"PNEUMONIA, {cause[0].lower()}" if cause else folder


def _patient(stem: str) -> str | None:
    hit = PATIENT.match(stem)
    return hit[1] if hit else None


def _notes(unknown: int) -> tuple[str, ...]:
    population = "Kermany: every child is 1 to 5 years old; the age of each is not published."
    if not unknown:
        return (population,)
    return population, f"Kermany: {unknown} file names do not say which child they show."


DATASET = Dataset(CARD, recognises, read)
