"""COVIDx: lists of "patient file class source" next to `train/` and `test/` (Wang et al. 2020).

A mixture of other collections: `source` is the collection that the list names.
"""

import re
from pathlib import Path

import pandas as pd

from hilum.datasets.assemble import assemble
from hilum.datasets.base import CONFOUNDED, Dataset, DatasetCard
from hilum.datasets.layout import present, walk
from hilum.datasets.tally import Tally
from hilum.types import HilumError, Manifest, as_path

CARD = DatasetCard(
    name="covidx",
    title="COVIDx CXR",
    folder="covidx-cxr2",
    other_folders=("COVIDx", "covidx-cxr3", "covidx-cxr4"),
    licence="of its parts; the lists are under the COVID-Net licence",
    citation="Wang, Lin & Wong 2020, COVID-Net, Scientific Reports 10, "
    "doi:10.1038/s41598-020-76550-z",
    homepage="https://github.com/lindawangg/COVID-Net",
    access="Fetch andyczhao/covidx-cxr2 from Kaggle and put it into covidx-cxr2/, with train.txt, "
    "test.txt, train/ and test/ directly in it.",
    modality="X-ray",
    label_map={
        "COVID-19": "covid19",
        "positive": "covid19",
        "negative": "non_covid",
        "normal": "normal",
        "pneumonia": "pneumonia",
    },
    population="a mixture; controls are mostly RSNA's, which are NIH's",
    single_age="mixed",
    patient_ids=True,
    known_shortcuts=(CONFOUNDED,),
    mixes=("cohen", "figure1", "actualmed", "radiography", "nih"),
)
PARTS = {"train": "train", "val": "validation", "test": "test"}
LINE = re.compile(
    r"(?P<patient_id>\S+) (?P<name>.+?) (?P<finding>normal|pneumonia|COVID-19|positive|negative)"
    r"(?: (?P<collection>\S+))?"
)
SOURCES = {"fig1": "figure1", "actmed": "actualmed"}  # the lists' words -> names of cards
RSNA = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.\w+")  # older lists name no source


def recognises(folder: Path) -> bool:
    """Whether there are lists of training images, and the first line reads like one."""
    lists = sorted(folder.glob("train*.txt"))
    if not lists or not (folder / "train").is_dir():
        return False
    with lists[0].open(encoding="utf-8", errors="replace") as lines:
        return LINE.fullmatch(lines.readline().strip()) is not None


def read(folder: Path) -> Manifest:
    """The images of one version's lists; lists of other versions are counted as left out."""
    root, tally = as_path(folder), Tally()
    version = _version(root, tally)
    table = pd.concat([_list(root, part, version, tally) for part in PARTS], ignore_index=True)
    images = set(walk(root, tally).images)
    file = table["part"] + "/" + table["name"]
    tally.skip("the lists do not name this image", sorted(images - set(file)), "file")
    rows = present(table.assign(file=file.where(file.isin(images))), tally)
    rows = rows.assign(
        label=rows["finding"].map(CARD.label_map),
        official_part=rows["part"].map(PARTS),
        source=[_source(*pair) for pair in zip(rows["collection"], rows["name"], strict=True)],
    )
    return assemble(CARD, root, rows, tally, _notes(version, rows["source"]))


def _version(root: Path, tally: Tally) -> str:
    """The part of the lists' names behind "train": "" or the newest, three classes preferred."""
    versions = {path.stem.removeprefix("train") for path in root.glob("train*.txt")}
    chosen = max(versions, key=lambda name: (name == "", name.endswith("A"), _numbers(name)))
    others = [f"train{name}.txt" for name in sorted(versions - {chosen})]
    tally.skip(f"a list of another version; train{chosen}.txt was read", others, "list")
    return chosen


def _numbers(version: str) -> tuple[bool, list[int]]:
    """CXR-3 came after version 9."""
    return "CXR" in version, [int(number) for number in re.findall(r"\d+", version)]


def _list(root: Path, part: str, version: str, tally: Tally) -> pd.DataFrame:
    path = root / f"{part}{version}.txt"
    if not path.is_file() and part == "test":
        raise HilumError(f"{path.name!r} must be next to train{version}.txt; fetch the list.")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    hits = [(line, LINE.fullmatch(line.strip())) for line in lines if line.strip()]
    unread = [line for line, hit in hits if hit is None]
    tally.skip("a line must read `patient file class source`", unread, "line")
    rows = [{**hit.groupdict(), "part": part} for _, hit in hits if hit]
    return pd.DataFrame(rows, columns=[*LINE.groupindex, "part"])


def _source(source: str | None, name: str) -> str:
    if isinstance(source, str):
        return SOURCES.get(source, source)
    return "rsna" if RSNA.fullmatch(name) else CARD.name


def _notes(version: str, sources: "pd.Series[str]") -> tuple[str, ...]:
    counts = ", ".join(f"{source} {n:,}" for source, n in sources.value_counts().items())
    return (
        f"COVIDx: read train{version}.txt; a mixture of other collections ({counts}).",
        "COVIDx: COVID-19 and control images come from different collections.",
    )


DATASET = Dataset(CARD, recognises, read)
