"""Cards of radiographs that one group gathered first-hand or from publications."""

from hilum.datasets.cards.card import TORN, DatasetCard, Download, from_github

COHEN_LABELS = {
    "COVID-19": "covid19",
    "No Finding": "normal",
    **dict.fromkeys(
        (
            "Pneumonia",
            "Viral",
            "SARS",
            "MERS-CoV",
            "Influenza",
            "H1N1",
            "Varicella",
            "Herpes",
            "Bacterial",
            "Streptococcus",
            "Klebsiella",
            "Legionella",
            "Mycoplasma",
            "Mycoplasma Bacterial Pneumonia",
            "Chlamydophila",
            "E.Coli",
            "Nocardia",
            "Staphylococcus",
            "Fungal",
            "Pneumocystis",
            "Aspergillosis",
            "Lipoid",
            "Aspiration",
        ),
        "pneumonia",
    ),
}

COHEN = DatasetCard(
    name="cohen",
    title="COVID-19 Image Data Collection",
    folder="covid-chestxray-dataset",
    other_folders=("covid-chestxray-dataset-master",),
    licence="stated for each image; CC BY-NC-SA 4.0, CC BY and others, some not stated",
    citation="Cohen, Morrison & Dao 2020, COVID-19 Image Data Collection, arXiv:2003.11597",
    homepage="https://github.com/ieee8023/covid-chestxray-dataset",
    download=from_github("ieee8023/covid-chestxray-dataset"),
    access="Fetch the repository from GitHub and put it into covid-chestxray-dataset/, with "
    "metadata.csv and images/ directly in it.",
    modality="X-ray",
    label_map=COHEN_LABELS,
    population="patients with COVID-19 and other pneumonias from hospitals all over the world",
    single_age="adults",
    patient_ids=True,
    known_shortcuts=(
        TORN,
        "portable AP films of the sickest, often supine",
        "hardly any films without a finding, so controls must come from elsewhere",
    ),
)

KERMANY = DatasetCard(
    name="kermany",
    title="Chest X-Ray Images (Pneumonia)",
    folder="chest_xray",
    other_folders=("ChestXRay2017", "chest-xray-pneumonia"),
    licence="CC BY 4.0",
    citation="Kermany et al. 2018, Identifying Medical Diagnoses and Treatable Diseases by "
    "Image-Based Deep Learning, Cell 172, doi:10.1016/j.cell.2018.02.010",
    homepage="https://data.mendeley.com/datasets/rscbjbr9sj/2",
    download=(
        Download(
            "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
            "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded",
            None,
            "ChestXRay2017.zip",
        ),
    ),
    access="Fetch ChestXRay2017.zip from Mendeley Data, or chest-xray-pneumonia from Kaggle, and "
    "put chest_xray/ with train/, test/ and, on Kaggle, val/ into your data folder.",
    modality="X-ray",
    label_map={
        "NORMAL": "normal",
        "PNEUMONIA": "pneumonia",
        "PNEUMONIA, bacteria": "bacterial_pneumonia",
        "PNEUMONIA, virus": "viral_pneumonia",
    },
    population="children of 1 to 5 years, Guangzhou Women and Children's Medical Center",
    single_age="children",
    patient_ids=True,
    known_shortcuts=(
        "paediatric: against adults the size of the thorax tells the label",
        "exact duplicates within each part",
        "the published validation part has 16 images",
    ),
)

NIH = DatasetCard(
    name="nih",
    title="NIH ChestX-ray14",
    folder="nih-chestxray14",
    other_folders=("ChestX-ray14", "CXR8", "NIH"),
    licence="no restriction on use; cite the paper and name the NIH Clinical Center",
    citation="Wang et al. 2017, ChestX-ray8, CVPR, doi:10.1109/CVPR.2017.369",
    homepage="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    access="Fetch Data_Entry_2017.csv, the two lists and the image archives from the NIH's box "
    "(homepage) and put them into nih-chestxray14/, the images in any folders below it.",
    modality="X-ray",
    label_map={"No Finding": "normal", "Pneumonia": "pneumonia"},
    population="30,805 patients of the NIH Clinical Center, 1992 to 2015, some of them children",
    single_age="mixed",
    patient_ids=True,
    known_shortcuts=(
        "labels mined from reports",
        "PORTABLE stickers and AP view with the sick",
        "burnt-in laterality markers",
    ),
)

CHEXPERT = DatasetCard(
    name="chexpert",
    title="CheXpert",
    folder="CheXpert-v1.0-small",
    other_folders=("CheXpert-v1.0", "CheXpert", "chexpertchestxrays-u20210408"),
    licence="Stanford University Dataset Research Use Agreement",
    citation="Irvin et al. 2019, CheXpert, AAAI, doi:10.1609/aaai.v33i01.3301590",
    homepage="https://stanfordmlgroup.github.io/competitions/chexpert/",
    access="Register with Stanford (homepage), fetch CheXpert-v1.0-small and put it into your data "
    "folder, with train.csv and valid.csv directly in it; or unpack all batches of the full "
    "release beside each other, each under its own name, into CheXpert-v1.0/.",
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

COVID_CXNET = DatasetCard(
    name="covid_cxnet",
    title="COVID-CXNet",
    folder="COVID-CXNet",
    other_folders=("COVID-CXNet-master", "Covid19-Detection"),
    licence="of the websites that the images were gathered from; the repository's code is MIT",
    citation="Haghanifar et al. 2020, COVID-CXNet, arXiv:2006.13807",
    homepage="https://github.com/armiro/COVID-CXNet",
    download=from_github("armiro/COVID-CXNet"),
    access="Fetch the repository from GitHub and put it into COVID-CXNet/, with "
    "chest_xray_images/ directly in it; normal images are not in the repository.",
    modality="X-ray",
    label_map={"covid19": "covid19", "normal": "normal"},
    population="adults with COVID-19, from websites and publications",
    single_age="adults",
    patient_ids=False,
    known_shortcuts=(TORN, "numbered anew: overlap with Cohen shows only in the pixels"),
    mixes=("cohen", "figure1"),
)

FIGURE1 = DatasetCard(
    name="figure1",
    title="Figure 1 COVID-19 Chest X-ray Dataset Initiative",
    folder="Figure1-COVID-chestxray-dataset",
    other_folders=("Figure1-COVID-chestxray-dataset-master",),
    licence="see the repository's README; research use",
    citation="Chung 2020, Figure 1 COVID-19 Chest X-ray Dataset Initiative, "
    "https://github.com/agchung/Figure1-COVID-chestxray-dataset",
    homepage="https://github.com/agchung/Figure1-COVID-chestxray-dataset",
    download=from_github("agchung/Figure1-COVID-chestxray-dataset"),
    access="Fetch the repository from GitHub and put it into Figure1-COVID-chestxray-dataset/, "
    "with metadata.csv and images/ directly in it.",
    modality="X-ray",
    label_map={"COVID-19": "covid19", "Pneumonia": "pneumonia", "No finding": "normal"},
    population="patients of clinicians who sent in images, Canada and elsewhere",
    single_age="adults",
    patient_ids=True,
    known_shortcuts=("photographs of monitors: moire, tint, mouse pointers",),
)

ACTUALMED = DatasetCard(
    name="actualmed",
    title="Actualmed COVID-19 Chest X-ray Dataset Initiative",
    folder="Actualmed-COVID-chestxray-dataset",
    other_folders=("Actualmed-COVID-chestxray-dataset-master",),
    licence="see the repository's README; research use",
    citation="Chung 2020, Actualmed COVID-19 Chest X-ray Dataset Initiative, "
    "https://github.com/agchung/Actualmed-COVID-chestxray-dataset",
    homepage="https://github.com/agchung/Actualmed-COVID-chestxray-dataset",
    download=from_github("agchung/Actualmed-COVID-chestxray-dataset"),
    access="Fetch the repository from GitHub and put it into Actualmed-COVID-chestxray-dataset/, "
    "with metadata.csv and images/ directly in it.",
    modality="X-ray",
    label_map={"COVID-19": "covid19", "No finding": "normal"},
    population="patients suspected of COVID-19 in Spain, spring 2020; ages not published",
    single_age="unknown",
    patient_ids=True,
    known_shortcuts=("AP view with COVID-19, PA view with no finding",),
)
