"""Lung masks by V7 for images of Cohen: `images/` and `masks/` by the same stem, `index.csv`."""

from pathlib import Path

import pandas as pd

from hilum.datasets import cohen, values
from hilum.datasets.assemble import assemble
from hilum.datasets.base import TORN, Convention, Dataset, DatasetCard
from hilum.datasets.layout import header, match_paths, pair_masks, read_table, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="v7_masks",
    title="V7 COVID-19 X-ray lung masks",
    folder="v7-lung-masks",
    licence="masks CC BY 4.0; images as in Cohen",
    citation="V7 Labs 2020, COVID-19 X-ray dataset, https://github.com/v7labs/covid-19-xray-dataset",
    homepage="https://github.com/v7labs/covid-19-xray-dataset",
    access="Fetch V7's masks (homepage) for the images of Cohen, and put pairs of the same stem "
    "into images/ and masks/ of v7-lung-masks/, with index.csv "
    "(image,mask,patientid,finding,view).",
    modality="X-ray",
    label_map=cohen.CARD.label_map,
    population="patients of Cohen",
    single_age="adults",
    patient_ids=True,
    known_shortcuts=(TORN,),
    convention=Convention("behind the heart too", "V7 Labs 2020, and through opacities"),
    mixes=("cohen",),
)
LAYOUT = r"(?P<kind>images|masks)/(?P<stem>[^/]+)\.\w+"
COLUMNS = ("image", "mask", "patientid", "finding", "view")


def recognises(folder: Path) -> bool:
    """Whether the index pairs images with masks."""
    return set(COLUMNS) <= header(folder / "index.csv")


def read(folder: Path) -> Manifest:
    """The pairs of image and mask; patients are numbered as in Cohen."""
    root, tally = as_path(folder), Tally()
    index = read_table(root / "index.csv", COLUMNS)
    files = match_paths(walk(root, tally), LAYOUT, tally)
    is_mask = files["kind"] == "masks"
    paired = pair_masks(files[~is_mask], files[is_mask], ["stem"], tally)
    rows = _described(paired.assign(name=paired["file"].str.removeprefix("images/")), index, tally)
    rows = tally.keep(rows, rows["mask_path"].notna(), "it has no mask")
    return assemble(CARD, root, rows, tally, NOTES)


def _described(paired: pd.DataFrame, index: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    absent = sorted(set(index["image"]) - set(paired["name"]))
    tally.skip("its image is not in the folder", absent)
    rows = paired.merge(index, left_on="name", right_on="image", how="left")
    rows = tally.keep(rows, rows["image"].notna(), "no row of the index names this image")
    rows = rows.assign(
        label=[values.map_finding(finding, CARD.label_map) for finding in rows["finding"]],
        view=rows["view"].map(values.view),
        patient_id=rows["patientid"],
    )
    reason = "the finding is neither COVID-19, pneumonia nor no finding"
    return tally.keep(rows, rows["label"].notna(), reason)


NOTES = (
    "V7: images and patient numbers are those of Cohen; do not split the two sets separately.",
    "V7: both lungs are one mask, drawn through opacities and the heart's shadow behind them.",
)
DATASET = Dataset(CARD, recognises, read)
