"""Extensive COVID-19 X-ray and CT set: `X-ray` and `CT` with `COVID` and `Non-COVID` folders.

The layout of version 3 of doi:10.17632/8h65ywd2jr; counts differ between versions, so images are
counted, never assumed. The images are augmented copies of unnamed originals.
"""

from pathlib import Path

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Reader
from hilum.datasets.cards import CARDS
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = CARDS["mendeley"]
LAYOUT = r"(?:.+/)?(?P<modality>X-ray|CT)/(?P<finding>(?i:COVID|Non-COVID))/[^/]+"


def recognises(folder: Path) -> bool:
    """Whether radiographs and CT slices stand side by side, in class folders."""
    homes = (folder, folder / "COVID-19 Dataset")
    return any(has(home, "X-ray/COVID", "CT/COVID") for home in homes)


def read(folder: Path) -> Manifest:
    """All images of both modalities, told apart in `modality`."""
    root, tally = as_path(folder), Tally()
    rows = match_paths(walk(root, tally), LAYOUT, tally)
    rows = rows.assign(label=values.classes(rows["finding"], CARD.label_map))
    counts = rows.groupby(["modality", "finding"]).size()
    found = ", ".join(f"{modality} {finding} {n:,}" for (modality, finding), n in counts.items())
    return assemble(CARD, root, rows, tally, (f"Mendeley 8h65ywd2jr: found {found}.", *NOTES))


NOTES = (
    "Mendeley 8h65ywd2jr: the publisher augmented the images before release; siblings of one "
    "film leak across every split unless near duplicates are grouped first.",
    "Mendeley 8h65ywd2jr: no patient identifiers exist.",
)
READER = Reader("mendeley", recognises, read)
