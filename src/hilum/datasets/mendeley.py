"""Extensive COVID-19 X-ray and CT set: `X-ray` and `CT` with `COVID` and `Non-COVID` folders.

The layout of version 3 of doi:10.17632/8h65ywd2jr; counts differ between versions, so images are
counted, never assumed. The images are augmented copies of unnamed originals.
"""

from pathlib import Path

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Dataset, DatasetCard, Download
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="mendeley",
    title="Extensive COVID-19 X-Ray and CT Chest Images Dataset",
    folder="COVID-19 Dataset",
    other_folders=("8h65ywd2jr-3", "8h65ywd2jr-2", "8h65ywd2jr"),
    licence="CC BY 4.0",
    citation="El-Shafai & Abd El-Samie 2020, Extensive COVID-19 X-Ray and CT Chest Images Dataset, "
    "Mendeley Data, doi:10.17632/8h65ywd2jr.3",
    homepage="https://data.mendeley.com/datasets/8h65ywd2jr/3",
    download=(
        Download(
            "https://data.mendeley.com/public-files/datasets/8h65ywd2jr/files/"
            "fad8e33f-0d94-4316-b852-5f9f4814ea48/file_downloaded",
            "35a65604be12bc092334191de5dc2848545e1a52e4aa37c21c1760a6d84cee3b",
            "COVID-19 Dataset.zip",
        ),
    ),
    access="Fetch COVID-19 Dataset.zip from Mendeley Data and put COVID-19 Dataset/ with X-ray/ "
    "and CT/ into your data folder.",
    modality="X-ray and CT",
    label_map={"COVID": "covid19", "Non-COVID": "non_covid"},
    population="not stated",
    single_age="unknown",
    patient_ids=False,
    known_shortcuts=(
        "augmented before release: siblings of one image are in every part of a random split",
        "the origin of the images is not stated; it may differ between the classes",
    ),
)
LAYOUT = r"(?:.+/)?(?P<modality>X-ray|CT)/(?P<finding>(?i:COVID|Non-COVID))/[^/]+"


def recognises(folder: Path) -> bool:
    """Whether radiographs and CT slices are side by side, in class folders."""
    homes = (folder, folder / "COVID-19 Dataset")
    return any(has(home, "X-ray/COVID", "CT/COVID") for home in homes)


def read(folder: Path) -> Manifest:
    """All images of both modalities, separated in `modality`."""
    root, tally = as_path(folder), Tally()
    rows = match_paths(walk(root, tally), LAYOUT, tally)
    rows = rows.assign(label=values.classes(rows["finding"], CARD.label_map))
    counts = rows.groupby(["modality", "finding"]).size()
    counted = ", ".join(f"{modality} {finding} {n:,}" for (modality, finding), n in counts.items())
    return assemble(CARD, root, rows, tally, (f"Mendeley 8h65ywd2jr: found {counted}.", *NOTES))


NOTES = (
    "Mendeley 8h65ywd2jr: the publisher augmented the images before release; siblings of one "
    "film leak across every split unless near duplicates are grouped first.",
    "Mendeley 8h65ywd2jr: no patient identifiers exist.",
)
DATASET = Dataset(CARD, recognises, read)
