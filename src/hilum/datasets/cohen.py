"""The COVID-19 image data collection: `metadata.csv` next to `images/` (Cohen et al. 2020).

`label` is covid19, pneumonia (any other) or normal; the publisher's own words, in either of its
two styles ("COVID-19, ARDS", "Pneumonia/Viral/COVID-19"), stay in `finding` for finer filters.
`source` is the collection as a whole, and `site` the web site that an image was taken from: a
journal, a teaching file or a hospital's own release. `location`, free text, tells less: a third
of the images name a country or nothing.
"""

from pathlib import Path
from urllib.parse import urlparse

import pandas as pd

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import TORN, Dataset, DatasetCard, from_github
from hilum.datasets.layout import find_files, header, present, read_table, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

LABELS = {
    "COVID-19": "covid19",
    "No Finding": "normal",
    **dict.fromkeys(
        (
            "Pneumonia",
            "Viral",
            "SARS",
            "MERS-CoV",
            "Influenza",
            "H1N1",
            "Varicella",
            "Herpes",
            "Bacterial",
            "Streptococcus",
            "Klebsiella",
            "Legionella",
            "Mycoplasma",
            "Mycoplasma Bacterial Pneumonia",
            "Chlamydophila",
            "E.Coli",
            "Nocardia",
            "Staphylococcus",
            "Fungal",
            "Pneumocystis",
            "Aspergillosis",
            "Lipoid",
            "Aspiration",
        ),
        "pneumonia",
    ),
}

CARD = DatasetCard(
    name="cohen",
    title="COVID-19 Image Data Collection",
    folder="covid-chestxray-dataset",
    other_folders=("covid-chestxray-dataset-master",),
    licence="stated for each image; CC BY-NC-SA 4.0, CC BY and others, some not stated",
    citation="Cohen, Morrison & Dao 2020, COVID-19 Image Data Collection, arXiv:2003.11597",
    homepage="https://github.com/ieee8023/covid-chestxray-dataset",
    download=from_github("ieee8023/covid-chestxray-dataset"),
    access="Fetch the repository from GitHub and put it into covid-chestxray-dataset/, with "
    "metadata.csv and images/ directly in it.",
    modality="X-ray",
    label_map=LABELS,
    population="patients with COVID-19 and other pneumonias from hospitals all over the world",
    single_age="adults",
    patient_ids=True,
    known_shortcuts=(
        TORN,
        "portable AP films of the sickest, often supine",
        "hardly any films without a finding, so controls must come from elsewhere",
    ),
)
COLUMNS = ("patientid", "sex", "age", "finding", "view", "modality", "filename", "license")


def recognises(folder: Path) -> bool:
    """Whether the metadata has the collection's columns, `filename` among them."""
    return set(COLUMNS) <= header(folder / "metadata.csv")


def read(folder: Path) -> Manifest:
    """Frontal radiographs with a known finding; everything else is counted in `left_out`."""
    root, tally = as_path(folder), Tally()
    listed = root / "metadata.csv"
    address = tuple({"url"} & header(listed))  # where each image was taken from
    table = read_table(listed, (*COLUMNS, *address))
    table = table.assign(
        name=table["filename"],
        view=table["view"].map(values.view),
        label=[values.map_finding(finding, CARD.label_map) for finding in table["finding"]],
        age=table["age"].map(values.age),
        licence=table["license"].replace("", "not stated"),
        patient_id=table["patientid"],
        site=table["url"].map(_host) if address else None,
    )
    rows_with_files = find_files(table, walk(root, tally).below("images", tally), "filename", tally)
    rows = present(_usable(rows_with_files, tally), tally)
    return assemble(CARD, root, rows, tally, _notes(rows))


def _usable(table: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    for modality in sorted(set(table["modality"]) - {"X-ray"}):
        kept = table["modality"] != modality
        table = tally.keep(table, kept, f"modality is `{modality}`, not X-ray")
    table = tally.keep(table, table["view"] != "lateral", "the view is lateral")
    for finding in sorted(set(table.loc[table["label"].isna(), "finding"])):
        reason = f"finding `{finding}` is neither COVID-19, pneumonia nor no finding"
        table = tally.keep(table, table["finding"] != finding, reason)
    return table


def _host(url: str) -> str | None:
    return urlparse(url).netloc.removeprefix("www.") or None


def _notes(rows: pd.DataFrame) -> tuple[str, ...]:
    unstated = int((rows["licence"] == "not stated").sum())
    return (
        "Cohen: images were cut from publications and web pages; burnt-in letters, arrows and "
        "portable films of the sickest patients are common.",
        f"Cohen: the view is not stated for {int(rows['view'].isna().sum())} images and the "
        f"licence for {unstated}.",
    )


DATASET = Dataset(CARD, recognises, read)
