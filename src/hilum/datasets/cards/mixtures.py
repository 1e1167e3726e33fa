"""Cards of collections that others mixed from the originals."""

from hilum.datasets.cards.card import CONFOUNDED, NOT_STATED, Convention, DatasetCard, Download

COVID_XRAY_5K = DatasetCard(
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

COVIDX = DatasetCard(
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

RADIOGRAPHY = DatasetCard(
    name="radiography",
    title="COVID-19 Radiography Database",
    folder="COVID-19_Radiography_Dataset",
    other_folders=("COVID-19 Radiography Database", "COVID-19-Radiography-Database"),
    licence="of its parts, named in the metadata; the publisher states none of its own",
    citation="Chowdhury et al. 2020, IEEE Access 8, doi:10.1109/ACCESS.2020.3010287; masks: Rahman "
    "et al. 2021, doi:10.1016/j.compbiomed.2021.104319",
    homepage="https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database",
    access="Fetch tawsifurrahman/covid19-radiography-database from Kaggle and put "
    "COVID-19_Radiography_Dataset/ into your data folder.",
    modality="X-ray",
    label_map={
        "COVID": "covid19",
        "Normal": "normal",
        "Viral Pneumonia": "viral_pneumonia",
        "Lung_Opacity": "pneumonia",
    },
    population="a mixture: COVID-19 adults, RSNA adults, Kermany's children",
    single_age="mixed",
    patient_ids=False,
    known_shortcuts=(
        CONFOUNDED,
        "all viral pneumonia is of children, from one hospital",
        "resized to 299 x 299 by the publisher",
    ),
    convention=Convention(NOT_STATED, "drawn by a network, corrected by hand"),
    mixes=("cohen", "kermany", "nih", "covid_cxnet"),
)

MENDELEY = DatasetCard(
    name="mendeley",
    title="Extensive COVID-19 X-Ray and CT Chest Images Dataset",
    folder="COVID-19 Dataset",
    other_folders=("8h65ywd2jr-3", "8h65ywd2jr-2", "8h65ywd2jr"),
    licence="CC BY 4.0",
    citation="El-Shafai & Abd El-Samie 2020, Extensive COVID-19 X-Ray and CT Chest Images Dataset, "
    "Mendeley Data, doi:10.17632/8h65ywd2jr.3",
    homepage="https://data.mendeley.com/datasets/8h65ywd2jr/3",
    download=(
        Download(
            "https://data.mendeley.com/public-files/datasets/8h65ywd2jr/files/"
            "fad8e33f-0d94-4316-b852-5f9f4814ea48/file_downloaded",
            "35a65604be12bc092334191de5dc2848545e1a52e4aa37c21c1760a6d84cee3b",
            "COVID-19 Dataset.zip",
        ),
    ),
    access="Fetch COVID-19 Dataset.zip from Mendeley Data and put COVID-19 Dataset/ with X-ray/ "
    "and CT/ into your data folder.",
    modality="X-ray and CT",
    label_map={"COVID": "covid19", "Non-COVID": "non_covid"},
    population="not stated",
    single_age="unknown",
    patient_ids=False,
    known_shortcuts=(
        "augmented before release: siblings of one image stand in every part of a random split",
        "the origin of the images is not stated; it may differ between the classes",
    ),
)
