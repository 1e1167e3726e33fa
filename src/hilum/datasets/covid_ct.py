"""COVID-CT: `Images-processed/CT_COVID` and `CT_NonCOVID` (Yang et al. 2020).

Patients come from whichever tables are there: `patients.csv`, or the publisher's
`COVID-CT-MetaInfo.xlsx` and `NonCOVID-CT-MetaInfo.csv`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from hilum.datasets.assemble import assemble
from hilum.datasets.base import CONFOUNDED, TORN, Dataset, DatasetCard, from_github
from hilum.datasets.layout import has, match_paths, read_table, walk
from hilum.datasets.spreadsheet import read_sheet
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path, counted

CARD = DatasetCard(
    name="covid_ct",
    title="COVID-CT",
    folder="COVID-CT",
    other_folders=("COVID-CT-master",),
    licence="figures of papers, copyright with their authors and journals; research use",
    citation="Yang et al. 2020, COVID-CT-Dataset, arXiv:2003.13865",
    homepage="https://github.com/UCSD-AI4H/COVID-CT",
    download=from_github("UCSD-AI4H/COVID-CT"),
    access="Fetch the repository from GitHub, put it into COVID-CT/ and unpack the two archives "
    "in Images-processed/ where they lie.",
    modality="CT",
    label_map={"CT_COVID": "covid19", "CT_NonCOVID": "non_covid"},
    population="COVID-19 patients in preprints against patients in older papers and MedPix",
    single_age="unknown",
    patient_ids=True,
    known_shortcuts=(TORN, CONFOUNDED),
)
LAYOUT = r"Images-processed/(?P<finding>CT_COVID|CT_NonCOVID)/(?P<name>[^/]+)"
TABLES = ("patients.csv", "COVID-CT-MetaInfo.xlsx", "NonCOVID-CT-MetaInfo.csv")
NAME_COLUMNS, PATIENT_COLUMNS = ("image name", "file name", "image"), ("patient id", "patient")
PARTS = {"train": "train", "val": "validation", "test": "test"}


def recognises(folder: Path) -> bool:
    """Whether the folder of processed images is there, unpacked or not."""
    home = folder / "Images-processed"
    return has(home, "CT_COVID") or (home / "CT_COVID.zip").is_file()


def read(folder: Path) -> Manifest:
    """All slices of both classes, with patients and the publisher's split where published."""
    root, tally = as_path(folder), Tally()
    packed = sorted((root / "Images-processed").glob("*.zip"))
    unpacked = [path.name for path in packed if not path.with_suffix("").is_dir()]
    tally.skip("unpack this archive where it lies", unpacked, "archive")
    rows = match_paths(walk(root, tally), LAYOUT, tally)
    patients = dict(pair for table in _tables(root) for pair in _patients(table))
    rows = rows.assign(
        label=rows["finding"].map(CARD.label_map),
        patient_id=rows["name"].map(_key).map(patients).astype(object),
        official_part=_official_parts(root, rows),
        view="axial",
    )
    rows["source"] = _sources(rows["patient_id"])
    return assemble(CARD, root, rows, tally, _notes(int(rows["patient_id"].isna().sum())))


def _tables(root: Path) -> Iterator[pd.DataFrame]:
    for path in sorted(path for name in TABLES for path in root.rglob(name)):
        yield read_sheet(path) if path.suffix == ".xlsx" else read_table(path)


def _patients(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Pairs of image name and patient; nothing where the table has other columns."""
    columns = {name.lower(): name for name in table.columns}
    image = next((columns[name] for name in NAME_COLUMNS if name in columns), None)
    patient = next((columns[name] for name in PATIENT_COLUMNS if name in columns), None)
    if image and patient:
        of_patients = table[table[patient] != ""]
        names = of_patients[image].map(_key)
        yield from zip(names, of_patients[patient].str.replace(" ", "_"), strict=True)


def _key(name: str) -> str:
    """The tables leave out the suffix of some images, and some have it in other capitals."""
    return re.sub(r"\.(png|jpe?g)$", "", name.strip().lower())


def _sources(patients: "pd.Series[str]") -> "pd.Series[str]":
    """MedPix says so in the patient's name; the rest were cut from papers."""
    medpix = patients.str.startswith("medpix", na=False)
    return medpix.map({True: "medpix", False: CARD.name})


def _official_parts(root: Path, rows: pd.DataFrame) -> "pd.Series[str]":
    """From `trainCT_COVID.txt` and its five siblings, which name one image a line."""
    listed = {
        (finding, _key(name)): part
        for finding in CARD.label_map
        for prefix, part in PARTS.items()
        for path in sorted(root.rglob(f"{prefix}{finding}.txt"))
        for name in path.read_text(encoding="utf-8").splitlines()
    }
    keys = zip(rows["finding"], rows["name"].map(_key), strict=True)
    return pd.Series([listed.get(key) for key in keys], index=rows.index, dtype=object)


def _notes(unknown: int) -> tuple[str, ...]:
    origin = (
        "COVID-CT: slices were cut from the figures of papers; contrast window and scale are "
        "lost, and COVID-19 and other slices come from different collections."
    )
    if not unknown:
        return (origin,)
    return (
        origin,
        f"COVID-CT: the patient of {counted(unknown, 'slice')} is not in the tables of the folder.",
    )


DATASET = Dataset(CARD, recognises, read)
