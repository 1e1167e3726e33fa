"""SARS-CoV-2 CT slices from Sao Paulo: `COVID/` and `non-COVID/` (Soares et al. 2020)."""

from pathlib import Path

from hilum.datasets.assemble import assemble
from hilum.datasets.base import Dataset, DatasetCard
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="sarscov2_ct",
    title="SARS-CoV-2 CT-scan dataset",
    folder="sarscov2-ctscan-dataset",
    licence="CC BY-NC-SA 4.0",
    citation="Soares et al. 2020, SARS-CoV-2 CT-scan dataset, medRxiv, "
    "doi:10.1101/2020.04.24.20078584",
    homepage="https://www.kaggle.com/datasets/plameneduardo/sarscov2-ctscan-dataset",
    access="Fetch plameneduardo/sarscov2-ctscan-dataset from Kaggle and put COVID/ and non-COVID/ "
    "into sarscov2-ctscan-dataset/.",
    modality="CT",
    label_map={"COVID": "covid19", "non-COVID": "non_covid"},
    population="120 patients of hospitals in Sao Paulo",
    single_age="adults",
    patient_ids=False,
    known_shortcuts=(
        "several slices of a patient, not recorded which",
        "sizes and windows differ from image to image",
    ),
)
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
        "SARS-CoV-2 CT: no patient identifiers exist, so slices of one patient can be on both "
        "sides of any split; results on this set alone are not evidence."
    )
    if count in PUBLISHED:
        return (patients,)
    expected = " or ".join(f"{n:,}" for n in PUBLISHED)
    return patients, f"SARS-CoV-2 CT: {count:,} images were found; the release has {expected}."


DATASET = Dataset(CARD, recognises, read, only_by_name=True)
