"""NIH ChestX-ray14: `Data_Entry_2017.csv`, images in one or many folders (Wang et al. 2017).

`label` is normal for "No Finding" alone and pneumonia where Pneumonia is among the findings;
all other findings are counted and left out, because none of the classes fits them.
"""

from pathlib import Path

import pandas as pd

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Dataset, DatasetCard
from hilum.datasets.layout import find_files, present, read_table, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="nih",
    title="NIH ChestX-ray14",
    folder="nih-chestxray14",
    other_folders=("ChestX-ray14", "CXR8", "NIH"),
    licence="no restriction on use; cite the paper and name the NIH Clinical Center",
    citation="Wang et al. 2017, ChestX-ray8, CVPR, doi:10.1109/CVPR.2017.369",
    homepage="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    access="Fetch Data_Entry_2017.csv, the two lists and the image archives from the NIH's box "
    "(homepage) and put them into nih-chestxray14/, the images in any folders below it.",
    modality="X-ray",
    label_map={"No Finding": "normal", "Pneumonia": "pneumonia"},
    population="30,805 patients of the NIH Clinical Center, 1992 to 2015, some of them children",
    single_age="mixed",
    patient_ids=True,
    known_shortcuts=(
        "labels mined from reports",
        "PORTABLE stickers and AP view with the sick",
        "burnt-in laterality markers",
    ),
)
TABLES = "Data_Entry_2017*.csv"  # also the corrected Data_Entry_2017_v2020.csv
LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
NAMES = {
    "Image Index": "name",
    "Finding Labels": "finding",
    "Patient ID": "patient_id",
    "Patient Age": "age",
    "Patient Gender": "sex",
    "Patient Sex": "sex",  # as the corrected table has it
    "View Position": "view",
}


def recognises(folder: Path) -> bool:
    """Whether the table of entries is there."""
    return any(folder.glob(TABLES))


def read(folder: Path) -> Manifest:
    """The images that are there, of patients with no finding or with pneumonia."""
    root, tally = as_path(folder), Tally()
    source = sorted(root.glob(TABLES))[-1]
    table = read_table(source).rename(columns=NAMES)
    named = [name for name in dict.fromkeys(NAMES.values()) if name in table.columns]
    rows_with_files = find_files(table[named], walk(root, tally), "name", tally)
    parts = _official_parts(root)
    rows = present(_labelled(rows_with_files, tally), tally)
    rows = rows.assign(age=rows["age"].map(values.age), official_part=rows["name"].map(parts))
    return assemble(CARD, root, rows, tally, _notes(source.name, bool(parts)))


def _labelled(table: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    findings = table["finding"].drop_duplicates()
    classes = {text: _label(text) for text in findings}
    table = table.assign(label=table["finding"].map(classes).astype(object))
    return tally.keep(
        table, table["label"].notna(), "findings are neither `No Finding` nor `Pneumonia`"
    )


def _label(findings: str) -> str | None:
    classes = [CARD.label_map[name] for name in findings.split("|") if name in CARD.label_map]
    return classes[0] if classes else None


def _official_parts(root: Path) -> dict[str, str]:
    return {
        name.strip(): part
        for listed, part in LISTS.items()
        if (root / listed).is_file()
        for name in (root / listed).read_text(encoding="utf-8").splitlines()
    }


def _notes(table: str, split: bool) -> tuple[str, ...]:
    labels = f"NIH: labels of {table} were mined from radiology reports, not read from the films."
    if split:
        return (labels,)
    return labels, "NIH: the official lists of training and test images are not in the folder."


DATASET = Dataset(CARD, recognises, read)
