"""Montgomery and Shenzhen: `CXR_png/`, `masks/`, `ClinicalReadings/` (Jaeger et al. 2014).

`label` is normal for names that end in 0; tuberculosis (1) is non_covid: films of before 2014.
Montgomery's own release has one mask per lung, which a manifest cannot hold; the two sets as one
folder have both lungs in one file.
"""

import re
from pathlib import Path

import pandas as pd

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Convention, Dataset, DatasetCard
from hilum.datasets.layout import has, match_paths, pair_masks, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path, counted

CARD = DatasetCard(
    name="montgomery_shenzhen",
    title="Montgomery and Shenzhen chest X-ray sets with lung masks",
    folder="Lung Segmentation",
    other_folders=("MontgomerySet", "ChinaSet_AllFiles"),
    licence="free for research; cite the papers and name the National Library of Medicine",
    citation="Jaeger et al. 2014, Two public chest X-ray datasets, "
    "doi:10.3978/j.issn.2223-4292.2014.11.20; masks: Candemir et al. 2014, "
    "doi:10.1109/TMI.2013.2290491 and Stirenko et al. 2018, arXiv:1803.01199",
    homepage="https://www.kaggle.com/datasets/nikhilpandey360/chest-xray-masks-and-labels",
    access="Fetch nikhilpandey360/chest-xray-masks-and-labels from Kaggle and put "
    "Lung Segmentation/ with CXR_png/ and masks/ into your data folder.",
    modality="X-ray",
    label_map={"normal": "normal", "tuberculosis": "non_covid"},
    population="tuberculosis screening in Montgomery County, USA, and patients in Shenzhen, China",
    single_age="mixed",
    patient_ids=False,
    known_shortcuts=("two hospitals with different detectors",),
    convention=Convention(
        "beside the heart",
        "Montgomery: Candemir et al. 2014; for Shenzhen's masks none is stated",
    ),
)
LAYOUT = (
    r"(?P<kind>CXR_png|masks?|test|ManualMask/(?:left|right)Mask)/(?:mask/)?"
    r"(?P<stem>(?P<hospital>MCUCXR|CHNCXR)_\d+_(?P<code>[01]))(?:_mask)?\.png"
)
FINDINGS = {"0": "normal", "1": "tuberculosis"}
SOURCES = {"MCUCXR": "montgomery", "CHNCXR": "shenzhen"}
SEX = re.compile(r"\b(male|female|[MF])\b", re.IGNORECASE)
AGE = re.compile(r"\b(\d+)\s*-?\s*(y|m|d)", re.IGNORECASE)  # "049Y", "45yrs", "16month"


def recognises(folder: Path) -> bool:
    """Whether there is a folder CXR_png with names of one of the two hospitals."""
    names = (folder / "CXR_png").glob("*CXR_*_[01].png")
    return has(folder, "CXR_png") and any(name.name[:6] in SOURCES for name in names)


def read(folder: Path) -> Manifest:
    """All films; masks, age and sex where the folder has them."""
    root, tally = as_path(folder), Tally()
    files = match_paths(walk(root, tally), LAYOUT, tally)
    is_film = files["kind"].isin(["CXR_png", "test"])
    halves = files["kind"].str.startswith("ManualMask")
    tally.skip("a mask of one lung only", files.loc[halves, "file"], "file")
    rows = pair_masks(files[is_film], files[~is_film & ~halves], ["stem"], tally)
    findings = rows["code"].map(FINDINGS)
    rows = rows.assign(
        finding=findings,
        label=findings.map(CARD.label_map),
        source=rows["hospital"].map(SOURCES),
        **_readings(root, rows["stem"]),
    )
    return assemble(CARD, root, rows, tally, _notes(int(rows["mask_path"].isna().sum())))


def _readings(root: Path, stems: "pd.Series[str]") -> dict[str, list[str | float | None]]:
    """Sex and age in years from the free text of `ClinicalReadings/<stem>.txt`."""
    texts = [_text(root / "ClinicalReadings" / f"{stem}.txt") for stem in stems]
    sexes, ages = [SEX.search(text) for text in texts], [AGE.search(text) for text in texts]
    return {
        "sex": [hit[1] if hit else None for hit in sexes],
        "age": [values.age(hit[1] + hit[2]) if hit else None for hit in ages],
    }


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _notes(without: int) -> tuple[str, ...]:
    return (
        f"Montgomery and Shenzhen: {counted(without, 'film')} without a mask (of the 800, "
        "704 have one).",
        "Montgomery and Shenzhen: patient identifiers are not published, and a few patients have "
        "two films; normal and tuberculosis films only, none with COVID-19.",
    )


DATASET = Dataset(CARD, recognises, read)
