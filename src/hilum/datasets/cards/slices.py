"""Cards of single CT slices."""

from hilum.datasets.cards.card import CONFOUNDED, TORN, DatasetCard, from_github

SARSCOV2_CT = DatasetCard(
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
        "several slices of a patient, and no record of which",
        "sizes and windows differ from image to image",
    ),
)

COVID_CT = DatasetCard(
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
