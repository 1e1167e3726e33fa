"""Cards of radiographs with lung masks."""

from hilum.datasets.cards.card import TORN, Convention, DatasetCard
from hilum.datasets.cards.originals import COHEN_LABELS

MONTGOMERY_SHENZHEN = DatasetCard(
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

V7_MASKS = DatasetCard(
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
    label_map=COHEN_LABELS,
    population="patients of Cohen",
    single_age="adults",
    patient_ids=True,
    known_shortcuts=(TORN,),
    convention=Convention("behind the heart too", "V7 Labs 2020, and through opacities"),
    mixes=("cohen",),
)
