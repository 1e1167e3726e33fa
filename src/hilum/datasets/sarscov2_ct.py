"""SARS-CoV-2 CT slices from Sao Paulo: `COVID/` and `non-COVID/` (Soares et al. 2020)."""

from pathlib import Path

from hilum.datasets.assemble import assemble
from hilum.datasets.base import Reader
from hilum.datasets.cards import CARDS
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = CARDS["sarscov2_ct"]
LAYOUT = r"(?P<finding>COVID|non-COVID)/[^/]+"
PUBLISHED = (2481, 2482)  # images in the release on Kaggle, and in the paper


def recognises(folder: Path) -> bool:
    """Whether the two class folders are there."""
    return has(folder, "COVID", "non-COVID")


def read(folder: Path) -> Manifest:
    """All slices; which of them belong to one patient is not published."""
    root, tally = as_path(folder), Tally()
    rows = match_paths(walk(root, tally), LAYOUT, tally)
    rows = rows.assign(label=rows["finding"].map(CARD.label_map), view="axial")
    return assemble(CARD, root, rows, tally, _notes(len(rows)))


def _notes(count: int) -> tuple[str, ...]:
    patients = (
        "SARS-CoV-2 CT: no patient identifiers exist, so slices of one patient can stand on both "
        "sides of any split; results on this set alone are not evidence."
    )
    if count in PUBLISHED:
        return (patients,)
    expected = " or ".join(f"{n:,}" for n in PUBLISHED)
    return patients, f"SARS-CoV-2 CT: {count:,} images were found; the release has {expected}."


READER = Reader("sarscov2_ct", recognises, read)
