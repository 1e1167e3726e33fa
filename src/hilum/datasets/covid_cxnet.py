"""COVID-CXNet: `chest_xray_images/covid19`, and `normal` where it was obtained (2020)."""

from pathlib import Path

from hilum.datasets.assemble import assemble
from hilum.datasets.base import TORN, Dataset, DatasetCard, from_github
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="covid_cxnet",
    title="COVID-CXNet",
    folder="COVID-CXNet",
    other_folders=("COVID-CXNet-master", "Covid19-Detection"),
    licence="of the websites that the images were gathered from; the repository's code is MIT",
    citation="Haghanifar et al. 2020, COVID-CXNet, arXiv:2006.13807",
    homepage="https://github.com/armiro/COVID-CXNet",
    download=from_github("armiro/COVID-CXNet"),
    access="Fetch the repository from GitHub and put it into COVID-CXNet/, with "
    "chest_xray_images/ directly in it; normal images are not in the repository.",
    modality="X-ray",
    label_map={"covid19": "covid19", "normal": "normal"},
    population="adults with COVID-19, from websites and publications",
    single_age="adults",
    patient_ids=False,
    known_shortcuts=(TORN, "renumbered: overlap with Cohen shows only in the pixels"),
    mixes=("cohen", "figure1"),
)
LAYOUT = r"chest_xray_images/(?P<finding>covid19|normal)/(?:.+/)?[^/]+"


def recognises(folder: Path) -> bool:
    """Whether the repository's folder of COVID-19 images is there."""
    return has(folder, "chest_xray_images/covid19")


def read(folder: Path) -> Manifest:
    """All chest images; the repository's figures are counted as left out."""
    root, tally = as_path(folder), Tally()
    rows = match_paths(walk(root, tally), LAYOUT, tally)
    rows = rows.assign(label=rows["finding"].map(CARD.label_map))
    return assemble(CARD, root, rows, tally, NOTES)


NOTES = (
    "COVID-CXNet: no patient identifiers exist; images of one patient can be on both sides "
    "of a split.",
    "COVID-CXNet: images were gathered from websites and other collections; look for "
    "duplicates before using it with another COVID-19 set.",
)
DATASET = Dataset(CARD, recognises, read)
