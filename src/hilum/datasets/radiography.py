"""COVID-19 Radiography Database: class folders with `images` and `masks` (Chowdhury et al. 2020).

`source` is the collection behind the URL in `<class>.metadata.xlsx`, where the table is there.
"""

from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import CONFOUNDED, NOT_STATED, Convention, Dataset, DatasetCard
from hilum.datasets.layout import has, match_paths, pair_masks, walk
from hilum.datasets.spreadsheet import read_sheet
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="radiography",
    title="COVID-19 Radiography Database",
    folder="COVID-19_Radiography_Dataset",
    other_folders=("COVID-19 Radiography Database", "COVID-19-Radiography-Database"),
    licence="of its parts, named in the metadata; the publisher states none of its own",
    citation="Chowdhury et al. 2020, IEEE Access 8, doi:10.1109/ACCESS.2020.3010287; masks: Rahman "
    "et al. 2021, doi:10.1016/j.compbiomed.2021.104319",
    homepage="https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database",
    access="Fetch tawsifurrahman/covid19-radiography-database from Kaggle and put "
    "COVID-19_Radiography_Dataset/ into your data folder.",
    modality="X-ray",
    label_map={
        "COVID": "covid19",
        "Normal": "normal",
        "Viral Pneumonia": "viral_pneumonia",
        "Lung_Opacity": "pneumonia",
    },
    population="a mixture: COVID-19 adults, RSNA adults, Kermany's children",
    single_age="mixed",
    patient_ids=False,
    known_shortcuts=(
        CONFOUNDED,
        "all viral pneumonia is of children, from one hospital",
        "resized to 299 x 299 by the publisher",
    ),
    convention=Convention(NOT_STATED, "drawn by a network, corrected by hand"),
    mixes=("cohen", "kermany", "nih", "covid_cxnet"),
)
LAYOUT = (
    r"(?P<finding>COVID|Lung_Opacity|Normal|NORMAL|Viral Pneumonia)/"
    r"(?:(?P<kind>images|masks)/)?(?P<stem>[^/]+)\.\w+"
)
SOURCES = {
    "rsna": "rsna",
    "chest-xray-pneumonia": "kermany",
    "covid-chestxray-dataset": "cohen",
    "covid-cxnet": "covid_cxnet",
    "covid-19-image-repository": "hannover",
    "bimcv": "bimcv",
    "sirm": "sirm",
    "eurorad": "eurorad",
}  # part of the URL, in small letters -> collection


def recognises(folder: Path) -> bool:
    """Whether the folders COVID and Viral Pneumonia are there."""
    return has(folder, "COVID", "Viral Pneumonia")


def read(folder: Path) -> Manifest:
    """All images, with their lung masks where the release has them."""
    root, tally = as_path(folder), Tally()
    files = match_paths(walk(root, tally), LAYOUT, tally)
    is_mask = files["kind"] == "masks"
    rows = pair_masks(files[~is_mask], files[is_mask], ["finding", "stem"], tally)
    rows = rows.assign(label=values.classes(rows["finding"], CARD.label_map))
    rows["source"] = _sources(root, rows)
    return assemble(CARD, root, rows, tally, NOTES)


def _sources(root: Path, rows: pd.DataFrame) -> list[str]:
    """The collection behind each image's URL; the card's name where no table names the image."""
    urls: dict[str, str] = {}
    for path in sorted(root.glob("*.metadata.xlsx")):
        table = read_sheet(path)
        if {"FILE NAME", "URL"} <= set(table.columns):
            urls |= dict(zip(table["FILE NAME"].str.lower(), table["URL"], strict=True))
    return [_source(urls.get(stem.lower(), "")) for stem in rows["stem"]]


def _source(url: str) -> str:
    named = (source for part, source in SOURCES.items() if part in url.lower())
    return next(named, urlsplit(url).netloc or CARD.name)


NOTES = (
    "Radiography Database: a mixture of other collections; its viral pneumonia and a part of its "
    "normal images are children from Kermany, its COVID-19 images adults.",
    "Radiography Database: no patient identifiers exist; images of one patient can be on both "
    "sides of a split.",
    "Radiography Database: `Lung_Opacity` (non-COVID-19 lung infection) is read as pneumonia.",
)
DATASET = Dataset(CARD, recognises, read)
