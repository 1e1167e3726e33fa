"""CheXpert: `train.csv`, `valid.csv`, images below `patientNNNNN/studyN` (Irvin et al. 2019).

The small release is one folder; the full one unpacks into folders "CheXpert-v1.0 batch 1 (validate
& csv)", "batch 2 (train 1)" and so on, the tables in the first, patients of training in the others.

`label` is pneumonia where Pneumonia is 1, normal where No Finding is 1. Uncertain pneumonia (-1),
other findings and lateral views are counted and left out.
"""

import re
from pathlib import Path

import pandas as pd

from hilum.datasets import values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Dataset, DatasetCard
from hilum.datasets.layout import header, present, read_table, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="chexpert",
    title="CheXpert",
    folder="CheXpert-v1.0-small",
    other_folders=("CheXpert-v1.0", "CheXpert", "chexpertchestxrays-u20210408"),
    licence="Stanford University Dataset Research Use Agreement",
    citation="Irvin et al. 2019, CheXpert, AAAI, doi:10.1609/aaai.v33i01.3301590",
    homepage="https://stanfordmlgroup.github.io/competitions/chexpert/",
    access="Register with Stanford (homepage), fetch CheXpert-v1.0-small and put it into your "
    "data folder, with train.csv and valid.csv directly in it; or unpack all batches "
    "of the full release next to each other, each under its own name, into "
    "CheXpert-v1.0/.",
    modality="X-ray",
    label_map={"No Finding": "normal", "Pneumonia": "pneumonia"},
    population="adults at Stanford Hospital, 2002 to 2017",
    single_age="adults",
    patient_ids=True,
    known_shortcuts=(
        "labels mined from reports, with uncertain mentions",
        "devices and AP view with the sick",
    ),
)
PARTS = {"train.csv": "train", "valid.csv": "validation", "test.csv": "test"}
VIEW = "Frontal/Lateral"
COLUMNS = ("Path", "Sex", "Age", VIEW, "AP/PA", "No Finding", "Pneumonia")
YES, UNCERTAIN = "1", "-1"
BATCH = re.compile(r"\bbatch[ _-]*\d+", re.IGNORECASE)  # a folder of the full release
FILM = re.compile(r"(?:^|/)(patient\d+/study\d+/[^/]+)$")  # patients' numbers span all parts


def recognises(folder: Path) -> bool:
    """Whether one of the publisher's tables is there, or in a batch folder of the full release."""
    home = _home(folder)
    return any(_tables(place) for place in (home, *_batches(home)))


def read(folder: Path) -> Manifest:
    """Frontal films with no finding or with certain pneumonia, of one folder or of all batches."""
    root, tally = _home(as_path(folder)), Tally()
    batches = _batches(root)
    tables = next(filter(None, map(_tables, (root, *batches))))
    table = pd.concat(
        [read_table(path, COLUMNS).assign(official_part=PARTS[n]) for n, path in tables.items()],
        ignore_index=True,
    )
    rows = _in_batches(table, root, batches, tally) if batches else _with_files(table, root, tally)
    rows = present(_usable(rows, tally), tally)
    views = rows["AP/PA"].map(values.view)
    rows = rows.assign(
        age=rows["Age"].map(values.age),
        sex=rows["Sex"].where(rows["Sex"].isin(["Female", "Male"])),
        view=views.mask(views == "lateral"),  # VIEW, by which rows are kept, says frontal
        patient_id=rows["name"].str.extract(r"(patient\d+)")[0],
    )
    notes = (*NOTES, *_odd_views(int((views == "lateral").sum())), *_batches_read(batches))
    return assemble(CARD, root, rows, tally, notes)


def _home(folder: Path) -> Path:
    """Where a batch was named, the folder of all: tables and films lie in different ones."""
    return folder.parent if BATCH.search(folder.name) else folder


def _tables(folder: Path) -> dict[str, Path]:
    """The publisher's tables right in `folder`, by name."""
    return {name: folder / name for name in PARTS if set(COLUMNS) <= header(folder / name)}


def _batches(folder: Path) -> list[Path]:
    """The full release's folders below `folder`; the first has the tables."""
    folders = folder.glob("*[Bb][Aa][Tt][Cc][Hh]*")
    return sorted(item for item in folders if BATCH.search(item.name) and item.is_dir())


def _with_files(table: pd.DataFrame, root: Path, tally: Tally) -> pd.DataFrame:
    images = set(walk(root, tally).images)
    below = table["Path"].str.replace(r"^CheXpert[^/]*/", "", regex=True)  # the archive's own name
    tally.skip("no row of the tables names this image", sorted(images - set(below)), "file")
    return table.assign(name=table["Path"], file=below.where(below.isin(images)))


def _in_batches(table: pd.DataFrame, root: Path, batches: list[Path], tally: Tally) -> pd.DataFrame:
    """The same by patient, study and view, in whichever batch they lie; named as in one folder."""
    films: dict[str, str] = {}
    paths = [f"{batch.name}/{path}" for batch in batches for path in walk(batch).images]
    keys = {path: hit[1] for path in paths if (hit := FILM.search(path))}
    again = [path for path, key in keys.items() if films.setdefault(key, path) != path]
    tally.skip("another file of the same film came first", again, "file")
    keys_of_rows = table["Path"].str.extract(FILM)[0]
    listed = set(keys_of_rows)
    unlisted = [path for key, path in films.items() if key not in listed]
    unlisted += [path for path in paths if path not in keys]
    tally.skip("no row of the tables names this image", sorted(unlisted), "file")
    below = table["Path"].str.replace(r"^CheXpert[^/]*/", "", regex=True)
    return table.assign(
        name=table["Path"], sample_id=below, file=keys_of_rows.map(films).astype(object)
    )


def _usable(table: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    table = tally.keep(table, table[VIEW] == "Frontal", "the view is lateral")
    marks = {name: table[name].str.removesuffix(".0") for name in ("Pneumonia", "No Finding")}
    pneumonia, normal = marks["Pneumonia"] == YES, marks["No Finding"] == YES
    finding = normal.map({True: "No Finding", False: ""}).mask(pneumonia, "Pneumonia")
    finding = finding.mask(marks["Pneumonia"] == UNCERTAIN, "Pneumonia uncertain")
    table = table.assign(finding=finding, label=finding.map(CARD.label_map))
    table = tally.keep(table, finding != "Pneumonia uncertain", "pneumonia is uncertain (-1)")
    reason = "neither `No Finding` nor `Pneumonia` is marked"
    return tally.keep(table, table["finding"] != "", reason)


def _odd_views(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    films = "1 frontal film says" if count == 1 else f"{count:,} frontal films say"
    return (f"CheXpert: {films} LL or RL in AP/PA; the view counts as not stated.",)


def _batches_read(batches: list[Path]) -> tuple[str, ...]:
    names = ", ".join(batch.name for batch in batches)
    return (f"CheXpert: read from the full release's folders {names}.",) if batches else ()


NOTES = (
    "CheXpert: labels were mined from radiology reports, not read from the films.",
    "CheXpert: uncertain mentions of pneumonia (-1) are left out, not counted as either class.",
    "CheXpert: ages above 90 are published as 90.",
)
DATASET = Dataset(CARD, recognises, read)
