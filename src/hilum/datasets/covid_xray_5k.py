"""COVID-Xray-5k: `train` and `test` with folders `covid` and `non` (Minaee et al. 2020).

The publisher took every COVID-19 image from Cohen and every other from CheXpert, and `source`
says so: the source tells the label.
"""

from pathlib import Path

from hilum.datasets.assemble import assemble
from hilum.datasets.base import CONFOUNDED, Dataset, DatasetCard
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.tally import Tally
from hilum.types import Manifest, as_path

CARD = DatasetCard(
    name="covid_xray_5k",
    title="COVID-Xray-5k",
    folder="COVID-Xray-5k",
    other_folders=("data_upload_v3", "data_upload_v2"),
    licence="of its parts: Cohen per image, CheXpert research use",
    citation="Minaee et al. 2020, Deep-COVID, Medical Image Analysis, arXiv:2004.09363",
    homepage="https://github.com/shervinmin/DeepCovid",
    access="Follow the link in data/readme.md of the repository (homepage), unpack it and put "
    "train/ and test/ into COVID-Xray-5k/.",
    modality="X-ray",
    label_map={"covid": "covid19", "non": "non_covid"},
    population="Cohen's COVID-19 patients against CheXpert's patients of before 2018",
    single_age="adults",
    patient_ids=False,
    known_shortcuts=(
        CONFOUNDED,
        "COVID-19 training images may come already augmented, the others not",
    ),
    mixes=("cohen", "chexpert"),
)
LAYOUT = r"(?P<part>train|test)/(?P<finding>covid|non)/(?:.+/)?(?P<stem>[^/]+)\.\w+"
SOURCES = {"covid": "cohen", "non": "chexpert"}


def recognises(folder: Path) -> bool:
    """Whether there are training folders covid and non."""
    return has(folder, "train/covid", "train/non")


def read(folder: Path) -> Manifest:
    """All images; patients only where a CheXpert name (patientNNNNN) was kept."""
    root, tally = as_path(folder), Tally()
    rows = match_paths(walk(root, tally), LAYOUT, tally)
    finding = rows["finding"]
    rows = rows.assign(
        label=finding.map(CARD.label_map),
        source=finding.map(SOURCES),
        official_part=rows["part"],
        patient_id=rows["stem"].str.extract(r"(patient\d{5})")[0],
    )
    extra = int(((rows["part"] == "train") & (finding == "covid")).sum())
    return assemble(CARD, root, rows, tally, _notes(extra))


def _notes(covid: int) -> tuple[str, ...]:
    return (
        "COVID-Xray-5k: every COVID-19 image is from Cohen and every other from "
        "CheXpert, so the source alone gives the label away.",
        "COVID-Xray-5k: patients are not published for the COVID-19 images.",
        f"COVID-Xray-5k: {covid} COVID-19 training images were found. The publisher has "
        "84, or 420 after augmentation, and augmented siblings of one film must stay "
        "together.",
    )


DATASET = Dataset(CARD, recognises, read)
