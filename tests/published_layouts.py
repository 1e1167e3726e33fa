"""Small copies of fifteen published layouts, dirt included, for tests that have no real data."""

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image


def _encoded(kind: str) -> bytes:
    out = BytesIO()
    Image.new("L", (8, 6), 90).save(out, kind)
    return out.getvalue()


_BYTES = {".png": _encoded("PNG"), ".jpg": _encoded("JPEG"), ".jpeg": _encoded("JPEG")}


def put(folder: Path, names: Iterable[str]) -> None:
    """Write a tiny image under each name; any other suffix gets a few bytes."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_BYTES.get(path.suffix.lower(), b"not an image"))


def text(folder: Path, name: str, lines: Iterable[str]) -> None:
    """Write a text file, one line each."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"


def _link(kind: str, target: str) -> str:
    link = f'<Relationship Id="rId1" Type="{OFFICE}/{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{LINKS}">{link}</Relationships>'


PACKAGE = {  # what ECMA-376 part 2 wants around a sheet: from the package to the book, to its sheet
    "_rels/.rels": _link("officeDocument", "xl/workbook.xml"),
    "xl/workbook.xml": f'<workbook xmlns="{SHEETS}" xmlns:r="{OFFICE}"><sheets>'
    '<sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": _link("worksheet", "worksheets/sheet1.xml"),
}


def workbook(path: Path, rows: Sequence[Sequence[str]], shared: bool = True) -> None:
    """Write a one-sheet .xlsx as Excel does (shared strings) or libraries do (inline, numbers)."""
    strings = list(dict.fromkeys(cell for row in rows for cell in row))
    space = f'xmlns="{SHEETS}"'

    def cell(at: str, value: str) -> str:
        if value == "":
            return ""
        if value.replace(".", "").isdigit() and not shared:
            return f'<c r="{at}"><v>{value}</v></c>'
        if shared:
            return f'<c r="{at}" t="s"><v>{strings.index(value)}</v></c>'
        return f'<c r="{at}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'

    body = "".join(
        "<row>" + "".join(cell(f"{chr(65 + c)}{r + 1}", v) for c, v in enumerate(row)) + "</row>"
        for r, row in enumerate(rows)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as book:
        for part, content in PACKAGE.items():
            book.writestr(part, content)
        book.writestr(
            "xl/worksheets/sheet1.xml",
            f"<worksheet {space}><sheetData>{body}</sheetData></worksheet>",
        )
        if shared:
            items = "".join(f"<si><t>{escape(value)}</t></si>" for value in strings)
            book.writestr("xl/sharedStrings.xml", f"<sst {space}>{items}</sst>")


def cohen(folder: Path) -> None:
    """Both styles of finding, CT, lateral, `todo`, absent and unlisted images."""
    columns = "patientid,offset,sex,age,finding,view,modality,location,folder,filename,license"
    rows = (
        '1,0,M,65,COVID-19,PA,X-ray,"Milan, Italy",images,a.jpg,CC BY',
        "1,3,M,65,Pneumonia/Viral/COVID-19,AP Supine,X-ray,,images,b.jpeg,",
        '2,0,F,,"COVID-19, ARDS",AP,X-ray,,images,c.png,CC BY-NC-SA',
        "3,0,F,40,Pneumonia/Bacterial/Streptococcus,PA,X-ray,,images,d.png,",
        "313b,0,,30,No Finding,PA,X-ray,,images,e.png,",
        "5,0,F,50,SARS,?,X-ray,,images,f.png, ",
        "6,0,F,50,todo,PA,X-ray,,images,g.png,",
        "7,0,F,50,COVID-19,L,X-ray,,images,h.png,",
        "8,0,F,50,COVID-19,Axial,CT,,volumes,i.nii.gz,",
        "8,0,F,50,COVID-19,Axial,CT,,images,j.png,",
        "9,0,F,50,Pneumonia,PA,X-ray,,images,absent.png,",
        "10,0,F,50,Tuberculosis,PA,X-ray,,images,k.png,",
    )
    text(folder, "metadata.csv", (columns, *rows))
    names = ("a.jpg", "b.jpeg", *(f"{stem}.png" for stem in "cdefghjk"), "unlisted.png")
    put(folder / "images", names)
    put(folder, ["docs/flow.png", "volumes/i.nii.gz"])


def kermany(folder: Path) -> None:
    """The Kaggle release with its two kinds of normals, and one misplaced second copy."""
    put(
        folder,
        (
            "train/NORMAL/IM-0115-0001.jpeg",
            "train/NORMAL/NORMAL2-IM-0115-0001-0002.jpeg",
            "train/PNEUMONIA/person7_bacteria_24.jpeg",
            "train/PNEUMONIA/person7_virus_29.jpeg",
            "train/PNEUMONIA/person447_virus_921_1.jpeg",
            "train/PNEUMONIA/BACTERIA-7422-0001.jpeg",
            "train/PNEUMONIA/scan.jpeg",
            "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
            "test/PNEUMONIA/person7_bacteria_25.jpeg",
            "chest_xray/test/PNEUMONIA/person7_bacteria_25.jpeg",
            "train/NORMAL/.DS_Store",
            "__MACOSX/train/NORMAL/IM-0115-0001.jpeg",
        ),
    )


def nih(folder: Path) -> None:
    """Two image folders, ages with letters and slips, the header broken by its comma."""
    columns = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    rows = (
        "00000001_000.png,No Finding,0,1,058Y,M,PA,2682,2749,0.143,0.143,",
        "00000001_001.png,Infiltration|Pneumonia,1,1,59,M,AP,2682,2749,0.143,0.143,",
        "00000002_000.png,Pneumonia,0,2,414,F,AP,2682,2749,0.143,0.143,",
        "00000003_000.png,Hernia,0,3,013M,F,PA,2682,2749,0.143,0.143,",
        "00000004_000.png,No Finding,0,4,018M,F,PA,2682,2749,0.143,0.143,",
        "00000005_000.png,No Finding,0,5,30,F,PA,2682,2749,0.143,0.143,",
        "00000006_000.png,Pleural_Thickening,0,6,30,F,PA,2682,2749,0.143,0.143,",
    )
    text(folder, "Data_Entry_2017.csv", (columns, *rows))
    text(folder, "train_val_list.txt", ("00000001_000.png", "00000001_001.png"))
    text(folder, "test_list.txt", ("00000002_000.png", "00000004_000.png"))
    put(folder / "images_001/images", (f"0000000{n}.png" for n in ("1_000", "1_001", "2_000")))
    put(folder / "images_002/images", (f"0000000{n}.png" for n in ("3_000", "4_000", "6_000")))


def chexpert(folder: Path) -> None:
    """Certain, uncertain and other findings; a lateral; the archive's name in every path."""
    columns = (
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Pneumonia,"
        "Support Devices"
    )
    home = "CheXpert-v1.0-small"
    train = (
        f"{home}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,1.0",
        f"{home}/train/patient00002/study1/view1_frontal.jpg,Male,87,Frontal,AP,,,1.0,",
        f"{home}/train/patient00002/study1/view2_lateral.jpg,Male,87,Lateral,,,,1.0,",
        f"{home}/train/patient00002/study2/view1_frontal.jpg,Unknown,83,Frontal,PA,,,-1.0,",
        f"{home}/train/patient00003/study1/view1_frontal.jpg,Male,41,Frontal,PA,,-1.0,0.0,",
        f"{home}/train/patient00004/study1/view1_frontal.jpg,Male,41,Frontal,PA,1.0,,,",
    )
    valid = (f"{home}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,1,0,0,0",)
    text(folder, "train.csv", (columns, *train))
    text(folder, "valid.csv", (columns, *valid))
    paths = [row.split(",")[0].removeprefix(f"{home}/") for row in (*train[:-1], *valid)]
    put(folder, (*paths, "train/patient00009/study1/view1_frontal.jpg"))


def covid_xray_5k(folder: Path) -> None:
    """Folders within `non`, and one name that still has CheXpert's patient."""
    put(
        folder,
        (
            "train/covid/1-s2.0-a.jpg",
            "train/covid/aug_1-s2.0-a.jpg",
            "train/non/patient00123_study1.jpg",
            "train/non/Edema/x1.jpg",
            "test/covid/b.jpg",
            "test/non/x2.jpg",
            "samples.jpg",
        ),
    )


def covidx(folder: Path) -> None:
    """Three classes and two, with and without a source, an absent and an unlisted image."""
    rsna = "47c78742-4998-4878-aec4-37b11b1354ac"
    text(
        folder,
        "train_COVIDx9A.txt",
        (
            "8 SARS-Fig5-day9.jpeg pneumonia cohen",
            "COVID-00003b COVID-00003b.jpg COVID-19 fig1",
            "sirm COVID (12).png COVID-19 sirm",
            f"{rsna} {rsna}.png normal",
            "ANON24 absent.png COVID-19 actmed",
            "one two three",
        ),
    )
    text(folder, "test_COVIDx9A.txt", ("ANON24 CR.1.2.840.png COVID-19 actmed",))
    text(folder, "train_COVIDx9B.txt", ("ANON24 CR.1.2.840.png positive actmed",))
    text(folder, "test_COVIDx9B.txt", ("ANON24 CR.1.2.840.png positive actmed",))
    names = ("SARS-Fig5-day9.jpeg", "COVID-00003b.jpg", "COVID (12).png", f"{rsna}.png")
    put(folder / "train", (*names, "unlisted.png"))
    put(folder / "test", ("CR.1.2.840.png",))


def radiography(folder: Path) -> None:
    """Version 4, with masks and the metadata that name the collection behind each image."""
    columns = ("FILE NAME", "FORMAT", "SIZE", "URL")
    kaggle = "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"
    children = "https://www.kaggle.com/paultimothymooney/chest-xray-pneumonia"
    covid = (
        ("COVID-1", "PNG", "256*256", "https://sirm.org/category/senza-categoria/covid-19/"),
        ("COVID-2", "PNG", "256*256", "https://bimcv.cipf.es/bimcv-projects/bimcv-covid19/"),
        ("COVID-3", "PNG", "256*256", "https://example.org/a & b"),
    )
    normal = (("NORMAL-1", "PNG", "256*256", kaggle), ("NORMAL-2", "PNG", "256*256", children))
    workbook(folder / "COVID.metadata.xlsx", (columns, *covid))
    workbook(folder / "Normal.metadata.xlsx", (columns, *normal), shared=False)
    stems = {
        "COVID": ("COVID-1", "COVID-2", "COVID-3"),
        "Normal": ("Normal-1", "Normal-2"),
        "Lung_Opacity": ("Lung_Opacity-1",),
        "Viral Pneumonia": ("Viral Pneumonia-1",),
    }
    for name, found in stems.items():
        put(folder / name / "images", (f"{stem}.png" for stem in found))
        put(folder / name / "masks", (f"{stem}.png" for stem in found if stem != "COVID-3"))
    put(folder / "Normal/masks", ("Normal-9.png",))


def covid_cxnet(folder: Path) -> None:
    """The repository: images, and figures that are no chest images."""
    names = ("covid19/001.jpeg", "covid19/009.jpg", "covid19/041.png", "normal/n1.png")
    put(folder / "chest_xray_images", names)
    put(folder, ("documents/case1.png",))


def figure1(folder: Path) -> None:
    """One patient with two films, vague ages, unstated findings."""
    columns = "patientid,offset,sex,age,finding,survival,temperature,pO2 saturation,view,modality"
    rows = (
        "COVID-00001,13,M,33,COVID-19,,,58,AP erect,X-ray",
        "COVID-00003a,8,M,50+,COVID-19,,39.1,90,AP erect,X-ray",
        "COVID-00003b,8,M,28,COVID-19,,39.1,90,PA,X-ray",
        "COVID-00005,,,,,,,,,X-ray",
        "COVID-00023,,,,No finding,,,,,X-ray",
        "COVID-00031,,,,Pneumonia,,,,,X-ray",
        "COVID-00039,,,,COVID-19,,,,,X-ray",
    )
    text(folder, "metadata.csv", (columns, *rows))
    stems = ("00001", "00003a", "00003b", "00005", "00031")
    put(folder / "images", (f"COVID-{stem}.jpg" for stem in stems))
    put(folder / "images", ("COVID-00023.png",))


def actualmed(folder: Path) -> None:
    """A patient with two films, an inconclusive one, a sample that no row names."""
    columns = "patientid,offset,sex,age,finding,survival,view,modality,imagename,notes"
    rows = (
        'ANON196,,,,,,PA,X-ray,CR.1.png,"Inconclusive, date taken (YYYYMMDD): 20200313"',
        'ANON56,,,,No finding,,PA,X-ray,CR.2.png,"Negative, date taken"',
        'ANON24,,,,COVID-19,,AP,X-ray,CR.3.png,", date taken (YYYYMMDD): 20200318"',
        'ANON24,,,,COVID-19,,AP,X-ray,DX.4.png,", date taken (YYYYMMDD): 20200320"',
    )
    text(folder, "metadata.csv", (columns, *rows))
    put(folder / "images", ("CR.1.png", "CR.2.png", "CR.3.png", "DX.4.png", "SAMPLE.png"))


def sarscov2_ct(folder: Path) -> None:
    """Two class folders with blanks in the names."""
    put(folder / "COVID", ("Covid (1).png", "Covid (2).png"))
    put(folder / "non-COVID", ("Non-Covid (1).png",))


def covid_ct(folder: Path) -> None:
    """The publisher's two meta files and text lists; one name without its suffix."""
    put(folder / "Images-processed/CT_COVID", ("2020.02.10-p6-52%0.png", "a.png", "c.png"))
    put(folder / "Images-processed/CT_NonCOVID", ("10%0.jpg", "1046.jpg"))
    rows = (
        ("File name", "Patient ID", "Age", "Gender"),
        ("2020.02.10-p6-52%0", "Patient 12", "40", "M"),
        ("a.png", "Patient 12", "", ""),
        ("gone.png", "Patient 13", "", ""),
    )
    workbook(folder / "COVID-CT-MetaInfo.xlsx", rows)
    table = ("image name,patient id", "10%0.jpg,crawled_patient_10", "1046.jpg,medpix_patient_31")
    text(folder, "NonCOVID-CT-MetaInfo.csv", table)
    text(folder, "Data-split/COVID/trainCT_COVID.txt", ("a.png", "c.png"))
    text(folder, "Data-split/COVID/testCT_COVID.txt", ("2020.02.10-p6-52%0.png",))
    text(folder, "Data-split/NonCOVID/valCT_NonCOVID.txt", ("10%0.jpg", "1046.jpg"))


def mendeley(folder: Path) -> None:
    """Version 3: two modalities, two classes each."""
    put(folder / "X-ray/COVID", ("covid (1).jpg", "covid (2).jpg"))
    put(folder / "X-ray/Non-COVID", ("n (1).jpeg",))
    put(folder / "CT/COVID", ("COVID-19 (1).png",))
    put(folder / "CT/Non-COVID", ("n1.png", "n2.png"))


def montgomery_shenzhen(folder: Path) -> None:
    """The two sets as one folder: masks under two naming rules, one film without a mask."""
    stems = ("MCUCXR_0001_0", "MCUCXR_0104_1", "CHNCXR_0001_0", "CHNCXR_0327_1")
    put(folder / "CXR_png", (f"{stem}.png" for stem in stems))
    put(folder / "masks", ("MCUCXR_0001_0.png", "MCUCXR_0104_1.png", "CHNCXR_0001_0_mask.png"))
    put(folder / "test", ("CHNCXR_0025_0.png",))
    readings = {
        "MCUCXR_0001_0": ("Patient's Sex: F", "Patient's Age: 027Y", "normal"),
        "MCUCXR_0104_1": ("Patient's Sex: M", "Patient's Age: 061Y", "infiltrate"),
        "CHNCXR_0001_0": ("male 45yrs", "normal"),
        "CHNCXR_0327_1": ("female 18month", "PTB"),
    }
    for stem, lines in readings.items():
        text(folder, f"ClinicalReadings/{stem}.txt", lines)


def v7_masks(folder: Path) -> None:
    """Three pairs, an image without a mask, a mask without an image, a row without either."""
    rows = (
        "image,mask,patientid,finding,view",
        "a.jpg,a.png,226,COVID-19,AP Supine",
        'b.jpg,b.png,226,"COVID-19, ARDS",PA',
        "c.jpg,c.png,38,No Finding,PA",
        "d.jpg,d.png,39,COVID-19,PA",
        "gone.jpg,gone.png,40,COVID-19,PA",
    )
    text(folder, "index.csv", rows)
    put(folder / "images", (f"{stem}.jpg" for stem in "abcd"))
    put(folder / "masks", (f"{stem}.png" for stem in "abcx"))


@dataclass(frozen=True)
class Layout:
    """How to write one layout, and what its reader must find in it."""

    write: Callable[[Path], None]
    labels: Mapping[str, int]
    patients: int
    left_out: Mapping[str, int]  # reason -> how many


LAYOUTS = {
    "cohen": Layout(
        cohen,
        {"covid19": 3, "pneumonia": 2, "normal": 1},
        5,
        {
            "not where the published layout has its images": 1,
            "no row of the table names this image": 1,
            "modality is `CT`, not X-ray": 2,
            "the view is lateral": 1,
            "finding `Tuberculosis` is neither COVID-19, pneumonia nor no finding": 1,
            "finding `todo` is neither COVID-19, pneumonia nor no finding": 1,
            "its image is not in the folder": 1,
        },
    ),
    "kermany": Layout(
        kermany,
        {"normal": 3, "bacterial_pneumonia": 3, "viral_pneumonia": 2, "pneumonia": 1},
        7,
        {"not where the published layout has its images": 1},
    ),
    "nih": Layout(
        nih,
        {"normal": 2, "pneumonia": 2},
        3,
        {
            "findings are neither `No Finding` nor `Pneumonia`": 2,
            "its image is not in the folder": 1,
        },
    ),
    "chexpert": Layout(
        chexpert,
        {"normal": 2, "pneumonia": 1},
        3,
        {
            "no row of the tables names this image": 1,
            "the view is lateral": 1,
            "pneumonia is uncertain (-1)": 1,
            "neither `No Finding` nor `Pneumonia` is marked": 1,
            "its image is not in the folder": 1,
        },
    ),
    "covid_xray_5k": Layout(
        covid_xray_5k,
        {"covid19": 3, "non_covid": 3},
        1,
        {"not where the published layout has its images": 1},
    ),
    "covidx": Layout(
        covidx,
        {"covid19": 3, "pneumonia": 1, "normal": 1},
        5,
        {
            "a list of another version; train_COVIDx9A.txt was read": 1,
            "a line must read `patient file class source`": 1,
            "the lists do not name this image": 1,
            "its image is not in the folder": 1,
        },
    ),
    "radiography": Layout(
        radiography,
        {"covid19": 3, "normal": 2, "pneumonia": 1, "viral_pneumonia": 1},
        0,
        {"a mask without an image": 1},
    ),
    "covid_cxnet": Layout(
        covid_cxnet,
        {"covid19": 3, "normal": 1},
        0,
        {"not where the published layout has its images": 1},
    ),
    "figure1": Layout(
        figure1,
        {"covid19": 3, "normal": 1, "pneumonia": 1},
        4,
        {"the finding is not stated": 1, "its image is not in the folder": 1},
    ),
    "actualmed": Layout(
        actualmed,
        {"covid19": 2, "normal": 1},
        2,
        {
            "no row of the table names this image": 1,
            "no finding is stated (inconclusive)": 1,
        },
    ),
    "sarscov2_ct": Layout(sarscov2_ct, {"covid19": 2, "non_covid": 1}, 0, {}),
    "covid_ct": Layout(covid_ct, {"covid19": 3, "non_covid": 2}, 3, {}),
    "mendeley": Layout(mendeley, {"covid19": 3, "non_covid": 3}, 0, {}),
    "montgomery_shenzhen": Layout(montgomery_shenzhen, {"normal": 3, "non_covid": 2}, 0, {}),
    "v7_masks": Layout(
        v7_masks,
        {"covid19": 2, "normal": 1},
        2,
        {
            "a mask without an image": 1,
            "its image is not in the folder": 1,
            "it has no mask": 1,
        },
    ),
}
