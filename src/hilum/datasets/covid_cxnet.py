"""COVID-CXNet: `chest_xray_images/covid19`, and `normal` where it was obtained (2020)."""

from pathlib import Path

from hilum.datasets.assemble import assemble
from hilum.datasets.base import Reader
from hilum.datasets.cards import CARDS
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = CARDS["covid_cxnet"]
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
    "COVID-CXNet: no patient identifiers exist; images of one patient can stand on both sides "
    "of a split.",
    "COVID-CXNet: images were gathered from websites and other collections; look for duplicates "
    "before using it beside another COVID-19 set.",
)
READER = Reader("covid_cxnet", recognises, read)
