"""Actualmed's COVID-19 images from Spain: `metadata.csv` beside `images/`, by `imagename`."""

from pathlib import Path

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Reader
from hilum.datasets.cards import CARDS
from hilum.datasets.layout import find_files, header, present, read_table, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = CARDS["actualmed"]
COLUMNS = ("patientid", "sex", "age", "finding", "view", "modality", "imagename")


def recognises(folder: Path) -> bool:
    """Whether the metadata names its images in `imagename`."""
    return set(COLUMNS) <= header(folder / "metadata.csv")


def read(folder: Path) -> Manifest:
    """The images whose finding is stated; the inconclusive ones are counted as left out."""
    root, tally = as_path(folder), Tally()
    table = read_table(root / "metadata.csv", COLUMNS)
    table = table.assign(
        name=table["imagename"],
        label=[values.label(finding, CARD.label_map) for finding in table["finding"]],
        patient_id=table["patientid"],
        view=table["view"].map(values.view),
        age=table["age"].map(values.age),
    )
    found = find_files(table, walk(root, tally).below("images", tally), "imagename", tally)
    stated = tally.keep(found, found["label"].notna(), "no finding is stated (inconclusive)")
    return assemble(CARD, root, present(stated, tally), tally, NOTES)


NOTES = ("Actualmed: age and sex are not published.",)
READER = Reader("actualmed", recognises, read)
