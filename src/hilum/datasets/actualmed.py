"""Actualmed's COVID-19 images from Spain: `metadata.csv` next to `images/`, by `imagename`."""

from pathlib import Path

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Dataset, DatasetCard, from_github
from hilum.datasets.layout import find_files, header, present, read_table, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="actualmed",
    title="Actualmed COVID-19 Chest X-ray Dataset Initiative",
    folder="Actualmed-COVID-chestxray-dataset",
    other_folders=("Actualmed-COVID-chestxray-dataset-master",),
    licence="see the repository's README; research use",
    citation="Chung 2020, Actualmed COVID-19 Chest X-ray Dataset Initiative, "
    "https://github.com/agchung/Actualmed-COVID-chestxray-dataset",
    homepage="https://github.com/agchung/Actualmed-COVID-chestxray-dataset",
    download=from_github("agchung/Actualmed-COVID-chestxray-dataset"),
    access="Fetch the repository from GitHub and put it into Actualmed-COVID-chestxray-dataset/, "
    "with metadata.csv and images/ directly in it.",
    modality="X-ray",
    label_map={"COVID-19": "covid19", "No finding": "normal"},
    population="patients suspected of COVID-19 in Spain, spring 2020; ages not published",
    single_age="unknown",
    patient_ids=True,
    known_shortcuts=("AP view with COVID-19, PA view with no finding",),
)
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
        label=[values.map_finding(finding, CARD.label_map) for finding in table["finding"]],
        patient_id=table["patientid"],
        view=table["view"].map(values.view),
        age=table["age"].map(values.age),
    )
    rows = find_files(table, walk(root, tally).below("images", tally), "imagename", tally)
    stated = tally.keep(rows, rows["label"].notna(), "no finding is stated (inconclusive)")
    return assemble(CARD, root, present(stated, tally), tally, NOTES)


NOTES = ("Actualmed: age and sex are not published.",)
DATASET = Dataset(CARD, recognises, read)
