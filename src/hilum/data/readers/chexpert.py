"""CheXpert: `train.csv`, `valid.csv`, images below `patientNNNNN/studyN` (Irvin et al. 2019).

`label` is pneumonia where Pneumonia is 1, normal where No Finding is 1. Uncertain pneumonia (-1),
other findings and lateral views are counted and left out.
"""

from pathlib import Path

import pandas as pd

from hilum.data.cards import CARDS
from hilum.data.readers import values
from hilum.data.readers.assemble import assemble
from hilum.data.readers.contract import Reader
from hilum.data.readers.listing import header, present, read_table, walk
from hilum.data.readers.tally import Tally
from hilum.types import Manifest, as_path

CARD = CARDS["chexpert"]
PARTS = {"train.csv": "train", "valid.csv": "validation", "test.csv": "test"}
VIEW = "Frontal/Lateral"
COLUMNS = ("Path", "Sex", "Age", VIEW, "AP/PA", "No Finding", "Pneumonia")
YES, UNCERTAIN = "1", "-1"


def recognises(folder: Path) -> bool:
    """Whether one of the publisher's tables is there."""
    return any(set(COLUMNS) <= header(folder / name) for name in PARTS)


def read(folder: Path) -> Manifest:
    """Frontal films with no finding or with certain pneumonia."""
    root, tally = as_path(folder), Tally()
    tables = {name: root / name for name in PARTS if set(COLUMNS) <= header(root / name)}
    table = pd.concat(
        [read_table(path, COLUMNS).assign(official_part=PARTS[n]) for n, path in tables.items()],
        ignore_index=True,
    )
    rows = present(_usable(_found(table, root, tally), tally), tally)
    rows = rows.assign(
        age=rows["Age"].map(values.age),
        sex=rows["Sex"].where(rows["Sex"].isin(["Female", "Male"])),
        view=rows["AP/PA"].map(values.view),
        patient_id=rows["name"].str.extract(r"(patient\d+)")[0],
    )
    return assemble(CARD, root, rows, tally, NOTES)


def _found(table: pd.DataFrame, root: Path, tally: Tally) -> pd.DataFrame:
    images = set(walk(root, tally).images)
    below = table["Path"].str.replace(r"^CheXpert[^/]*/", "", regex=True)  # the archive's own name
    tally.skip("no row of the tables names this image", sorted(images - set(below)), "file")
    return table.assign(name=table["Path"], file=below.where(below.isin(images)))


def _usable(table: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    table = tally.keep(table, table[VIEW] == "Frontal", "the view is lateral")
    marks = {name: table[name].str.removesuffix(".0") for name in ("Pneumonia", "No Finding")}
    pneumonia, normal = marks["Pneumonia"] == YES, marks["No Finding"] == YES
    finding = normal.map({True: "No Finding", False: ""}).mask(pneumonia, "Pneumonia")
    finding = finding.mask(marks["Pneumonia"] == UNCERTAIN, "Pneumonia uncertain")
    table = table.assign(finding=finding, label=finding.map(CARD.label_map))
    table = tally.keep(table, finding != "Pneumonia uncertain", "pneumonia is uncertain (-1)")
    reason = "neither `No Finding` nor `Pneumonia` is marked"
    return tally.keep(table, table["finding"] != "", reason)


NOTES = (
    "CheXpert: labels were mined from radiology reports, not read from the films.",
    "CheXpert: uncertain mentions of pneumonia (-1) are left out, not counted as either class.",
    "CheXpert: ages above 90 are published as 90.",
)
READER = Reader("chexpert", recognises, read)
