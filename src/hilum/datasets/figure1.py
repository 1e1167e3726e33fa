"""Figure 1's COVID-19 images: `metadata.csv` next to `images/`, named after the patient.

A letter behind the number ("COVID-00003a") tells one patient's images apart.
"""

from pathlib import Path

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Dataset, DatasetCard, from_github
from hilum.datasets.layout import find_files, header, present, read_table, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="figure1",
    title="Figure 1 COVID-19 Chest X-ray Dataset Initiative",
    folder="Figure1-COVID-chestxray-dataset",
    other_folders=("Figure1-COVID-chestxray-dataset-master",),
    licence="see the repository's README; research use",
    citation="Chung 2020, Figure 1 COVID-19 Chest X-ray Dataset Initiative, "
    "https://github.com/agchung/Figure1-COVID-chestxray-dataset",
    homepage="https://github.com/agchung/Figure1-COVID-chestxray-dataset",
    download=from_github("agchung/Figure1-COVID-chestxray-dataset"),
    access="Fetch the repository from GitHub and put it into Figure1-COVID-chestxray-dataset/, "
    "with metadata.csv and images/ directly in it.",
    modality="X-ray",
    label_map={"COVID-19": "covid19", "Pneumonia": "pneumonia", "No finding": "normal"},
    population="patients of clinicians who sent in images, Canada and elsewhere",
    single_age="adults",
    patient_ids=True,
    known_shortcuts=("photographs of monitors: moire, tint, mouse pointers",),
)
COLUMNS = ("patientid", "sex", "age", "finding", "view", "modality")
OTHERS = {"filename", "imagename"}  # columns by which Cohen and Actualmed name the image


def recognises(folder: Path) -> bool:
    """Whether the metadata has the patient but no column for the image's name."""
    names = header(folder / "metadata.csv")
    return set(COLUMNS) <= names and not OTHERS & names


def read(folder: Path) -> Manifest:
    """The images whose finding is stated."""
    root, tally = as_path(folder), Tally()
    listing = walk(root, tally).below("images", tally)
    suffixes = {Path(path).stem: Path(path).name for path in listing.images}
    table = read_table(root / "metadata.csv", COLUMNS)
    table = table.assign(name=table["patientid"].map(lambda stem: suffixes.get(stem, stem)))
    rows = find_files(table, listing, "name", tally).assign(
        label=[values.map_finding(finding, CARD.label_map) for finding in table["finding"]],
        patient_id=table["patientid"].str.replace(r"(?<=\d)[a-z]$", "", regex=True),
        view=table["view"].map(values.view),
        age=table["age"].map(values.age),
    )
    stated = tally.keep(rows, rows["label"].notna(), "the finding is not stated")
    return assemble(CARD, root, present(stated, tally), tally, NOTES)


NOTES = (
    "Figure 1: images were sent in by clinicians, many photographed from a monitor.",
    "Figure 1: vague ages such as `50+` count as missing.",
)
DATASET = Dataset(CARD, recognises, read)
