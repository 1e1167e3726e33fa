"""Each reader of a published layout, on small copies and, where they are, on real images."""

import csv
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from hilum.datasets import covid_ct, layout, open_path, values
from hilum.datasets import read as read_set
from hilum.datasets.registry import DATASETS
from hilum.datasets.spreadsheet import read_sheet
from hilum.datasets.tally import Tally
from hilum.types import HilumError, Manifest, MissingError
from published_layouts import LAYOUTS, put, text, workbook


def read(name: str, folder: Path) -> Manifest:
    LAYOUTS[name].write(folder)
    return DATASETS[name].read(folder)


def by_file(found: Manifest) -> dict[str, dict]:
    """File name -> row, with None where a value is missing."""
    table = found.table.astype(object).where(found.table.notna(), None)
    return {Path(row["path"]).name: row for row in table.to_dict("records")}


# ---- real images, in their publishers' layouts -------------------------------------------------


def test_real_cohen(shared: Path):
    folder = shared / DATASETS["cohen"].card.folder
    found = DATASETS["cohen"].read(folder)
    with (folder / "metadata.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 605
    covid = [row for row in rows if "COVID-19" in row["finding"]]
    assert len(covid) == 445
    expected = Counter("covid19" if row in covid else row["finding"] for row in rows)
    assert expected["todo"] == 3
    assert expected["ARDS"] == 4
    labels = found.table["label"].value_counts().to_dict()
    assert labels == {"covid19": 445, "pneumonia": 605 - 445 - 13 - 3 - 4, "normal": 13}
    assert {item.what.split(" (")[0]: item.reason.split("`")[1] for item in found.left_out} == {
        "4 rows": "ARDS",
        "3 rows": "todo",
    }
    used = {Path(path).name for path in found.table["path"]}
    patients = {row["patientid"] for row in rows if row["filename"] in used}
    assert found.table["patient_id"].nunique() == len(patients) == 354
    assert found.table["view"].value_counts().to_dict() == {"PA": 298, "AP supine": 155, "AP": 113}
    assert (found.table["licence"] == "not stated").sum() == 213
    hosts = Counter(row["url"].split("/")[2] for row in rows if row["filename"] in used)
    sites = found.table["site"].value_counts().to_dict()
    assert sites == {host.removeprefix("www."): count for host, count in hosts.items()}
    assert sites["radiopaedia.org"] == 159
    assert found.table["age"].between(12, 94).sum() == found.table["age"].notna().sum()


def test_real_kermany(shared: Path):
    table = DATASETS["kermany"].read(shared / DATASETS["kermany"].card.folder).table
    assert len(table) == 5856
    assert table["patient_id"].nunique() == 4097
    assert table["patient_id"].notna().all()
    counts = table.groupby(["official_part", "label"]).size().to_dict()
    assert counts == {
        ("train", "normal"): 1341,
        ("train", "bacterial_pneumonia"): 2530,
        ("train", "viral_pneumonia"): 1345,
        ("validation", "normal"): 8,
        ("validation", "bacterial_pneumonia"): 8,
        ("test", "normal"): 234,
        ("test", "bacterial_pneumonia"): 242,
        ("test", "viral_pneumonia"): 148,
    }
    label_of = table.groupby("patient_id")["label"].nunique()
    assert label_of.max() == 1  # numbers are given out per cause


def test_real_nih(shared: Path):
    found = DATASETS["nih"].read(shared / DATASETS["nih"].card.folder)
    table = found.table
    assert table["label"].value_counts().to_dict() == {"normal": 348, "pneumonia": 345}
    assert table["patient_id"].nunique() == 478
    assert table["view"].value_counts().to_dict() == {"AP": 396, "PA": 297}
    assert found.left_out == ()
    assert table["age"].min() == 4


def test_real_sarscov2_ct(shared: Path):
    found = DATASETS["sarscov2_ct"].read(shared / DATASETS["sarscov2_ct"].card.folder)
    assert found.table["label"].value_counts().to_dict() == {"covid19": 1252, "non_covid": 1229}
    assert found.table["patient_id"].isna().all()
    assert found.left_out == ()
    assert len(found.notes) == 1


def test_real_covid_ct(shared: Path):
    found = DATASETS["covid_ct"].read(shared / DATASETS["covid_ct"].card.folder)
    table = found.table
    assert table["label"].value_counts().to_dict() == {"covid19": 186, "non_covid": 182}
    assert table["patient_id"].nunique() == 192
    assert found.left_out == ()
    assert set(table["source"]) == {"covid_ct", "medpix"}
    assert set(table.loc[table["source"] == "medpix", "label"]) == {"non_covid"}


def test_real_v7_masks(shared: Path):
    table = DATASETS["v7_masks"].read(shared / DATASETS["v7_masks"].card.folder).table
    assert len(table) == 306
    assert table["mask_path"].notna().all()
    assert [Path(path).stem for path in table["path"]] == [
        Path(path).stem for path in table["mask_path"]
    ]
    cohen = DATASETS["cohen"].read(shared / DATASETS["cohen"].card.folder).table
    numbers = set(cohen["patient_id"].str.removeprefix("cohen:"))
    assert set(table["patient_id"].str.removeprefix("v7_masks:")) <= numbers


def test_real_folders_are_recognised_by_one_reader_each(shared: Path):
    found = {
        folder.name: [name for name, row in DATASETS.items() if row.recognises(folder)]
        for folder in shared.iterdir()
        if folder.is_dir() and folder.name != "dicom"
    }
    assert len(found) == 6
    assert all([DATASETS[names[0]].card.folder] == [name] for name, names in found.items())


# ---- small copies ------------------------------------------------------------------------------


def test_cohen_reads_both_styles_of_finding(tmp_path: Path):
    rows = by_file(read("cohen", tmp_path))
    labels = {name: row["label"] for name, row in rows.items()}
    assert labels == {
        "a.jpg": "covid19",
        "b.jpeg": "covid19",
        "c.png": "covid19",
        "d.png": "pneumonia",
        "e.png": "normal",
        "f.png": "pneumonia",
    }
    assert rows["b.jpeg"]["finding"] == "Pneumonia/Viral/COVID-19"
    assert rows["b.jpeg"]["view"] == "AP supine"
    assert rows["f.png"]["view"] is None
    assert rows["a.jpg"]["licence"] == "CC BY"
    assert rows["f.png"]["licence"] == "not stated"  # a blank counts as nothing
    assert rows["a.jpg"]["patient_id"] == rows["b.jpeg"]["patient_id"] == "cohen:1"
    assert rows["e.png"]["patient_id"] == "cohen:313b"
    assert rows["a.jpg"]["age"] == 65
    assert rows["c.png"]["age"] is None
    assert rows["a.jpg"]["site"] is None  # this copy does not say where its images are from


def test_kermany_patients_are_typed(tmp_path: Path):
    found = read("kermany", tmp_path)
    rows = by_file(found)
    assert rows["person7_bacteria_24.jpeg"]["patient_id"] == "kermany:person7_bacteria"
    assert rows["person7_bacteria_25.jpeg"]["patient_id"] == "kermany:person7_bacteria"
    assert rows["person7_virus_29.jpeg"]["patient_id"] == "kermany:person7_virus"
    assert rows["person447_virus_921_1.jpeg"]["patient_id"] == "kermany:person447_virus"
    assert rows["IM-0115-0001.jpeg"]["patient_id"] == "kermany:IM-0115"
    assert rows["NORMAL2-IM-0115-0001-0002.jpeg"]["patient_id"] == "kermany:NORMAL2-IM-0115"
    assert rows["BACTERIA-7422-0001.jpeg"]["patient_id"] == "kermany:BACTERIA-7422"
    assert rows["scan.jpeg"]["patient_id"] is None
    assert rows["scan.jpeg"]["label"] == "pneumonia"
    assert any("1 file names" in note for note in found.notes)
    assert found.left_out[0].what == ("1 file (chest_xray/test/PNEUMONIA/person7_bacteria_25.jpeg)")


def test_nih_reads_ages_findings_and_lists(tmp_path: Path):
    found = read("nih", tmp_path)
    rows = by_file(found)
    assert rows["00000001_000.png"]["age"] == 58
    assert rows["00000002_000.png"]["age"] is None  # 414
    assert rows["00000004_000.png"]["age"] == 1.5  # 018M
    assert rows["00000001_001.png"]["finding"] == "Infiltration|Pneumonia"
    assert rows["00000001_000.png"]["official_part"] == "train"
    assert rows["00000002_000.png"]["official_part"] == "test"
    assert rows["00000001_000.png"]["patient_id"] == "nih:1"
    assert any("outside 0 to 120" in note for note in found.notes)


def test_nih_does_not_take_pleural_thickening_for_pneumonia(tmp_path: Path):
    found = read("nih", tmp_path)
    assert not any("Pleural" in finding for finding in found.table["finding"])


def test_nih_at_full_size(tmp_path: Path):
    """112,120 rows, as published; one in twenty of the images is there."""
    names = [f"{n:08d}_{k:03d}.png" for n in range(28_030) for k in range(4)]
    findings = ("No Finding", "No Finding", "Infiltration", "Effusion|Pneumonia")
    rows = (
        f"{name},{findings[k % 4]},{k % 4},{k // 4},045,M,PA,2500,2048,0.1,0.1,"
        for k, name in enumerate(names)
    )
    text(
        tmp_path,
        "Data_Entry_2017.csv",
        (
            "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
            "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],",
            *rows,
        ),
    )
    (tmp_path / "images").mkdir()
    for name in names[:5_600]:
        (tmp_path / "images" / name).touch()
    found = DATASETS["nih"].read(tmp_path)
    assert found.table["label"].value_counts().to_dict() == {"normal": 2800, "pneumonia": 1400}
    counts = {item.reason: item.what.split(" ")[0] for item in found.left_out}
    assert counts == {
        "findings are neither `No Finding` nor `Pneumonia`": "28,030",
        "its image is not in the folder": f"{112_120 - 28_030 - 4_200:,}",
    }


EMPTIED = {
    "cohen": ("metadata.csv", ("sex", "age", "license", "patientid")),  # views leave some out
    "nih": (
        "Data_Entry_2017.csv",
        ("Patient ID", "Patient Age", "Patient Gender", "View Position"),
    ),
    "chexpert": ("train.csv", ("Sex", "Age", "AP/PA")),
    "figure1": ("metadata.csv", ("sex", "age", "view", "modality")),
    "actualmed": ("metadata.csv", ("patientid", "sex", "age", "view", "modality")),
    "v7_masks": ("index.csv", ("patientid", "view")),
}


@pytest.mark.parametrize("name", EMPTIED)
def test_columns_without_any_value(name: str, tmp_path: Path):
    """Age, sex, view and patient of a publisher's table may be empty from top to bottom."""
    LAYOUTS[name].write(tmp_path)
    file, emptied = EMPTIED[name]
    (path,) = tmp_path.rglob(file)
    lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    places = [i for i, column in enumerate(lines[0]) if column.strip() in emptied]
    assert len(places) == len(emptied)
    for row in lines[1:]:
        row[:] = ["" if i in places else cell for i, cell in enumerate(row)]
    with path.open("w", newline="", encoding="utf-8") as file_:
        csv.writer(file_).writerows(lines)
    found = DATASETS[name].read(tmp_path)
    assert found.table["label"].value_counts().to_dict() == dict(LAYOUTS[name].labels)


def test_slices_without_any_table_of_patients(tmp_path: Path):
    LAYOUTS["covid_ct"].write(tmp_path)
    for name in covid_ct.TABLES:
        for path in tmp_path.rglob(name):
            path.unlink()
    found = DATASETS["covid_ct"].read(tmp_path)
    assert found.table["patient_id"].isna().all()
    assert set(found.table["source"]) == {"covid_ct"}


def batches(folder: Path) -> None:
    """The full release: tables beside valid/, training in two more folders, one film LL."""
    columns = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Pneumonia"
    home = "CheXpert-v1.0"
    one = folder / f"{home} batch 1 (validate & csv)"
    others = [folder / f"{home} batch {n + 2} (train {n + 1})" for n in range(2)]
    films = [f"patient{n:05d}/study{n % 2 + 1}/view1_frontal.jpg" for n in (1, 2, 30001, 30002)]
    views = ("LL", "AP", "PA", "AP")
    text(
        one, "train.csv",
        (columns, *(f"{home}/train/{film},Male,50,Frontal,{view},{i % 2}.0,{1 - i % 2}.0"
                    for i, (film, view) in enumerate(zip(films, views, strict=True)))),
    )  # fmt: skip
    checked = "patient64541/study1/view1_frontal.jpg"
    text(one, "valid.csv", (columns, f"{home}/valid/{checked},Female,60,Frontal,AP,1.0,"))
    put(one / "valid", [checked])
    put(others[0], films[:2])
    put(others[1], [*films[2:], "patient30009/study1/view1_frontal.jpg"])


@pytest.mark.parametrize("named", [".", "CheXpert-v1.0 batch 1 (validate & csv)",
                                   "CheXpert-v1.0 batch 3 (train 2)"])  # fmt: skip
def test_chexpert_in_batches(named: str, tmp_path: Path):
    """All batches are read, whichever is named; images are called as in the small release."""
    batches(tmp_path)
    found = open_path(tmp_path / named)
    table = found.table
    assert table["official_part"].value_counts().to_dict() == {"train": 4, "validation": 1}
    assert table["label"].tolist() == ["pneumonia", "normal", "pneumonia", "normal", "normal"]
    assert table["sample_id"].iloc[2] == ("chexpert/train/patient30001/study2/view1_frontal.jpg")
    assert all(Path(path).is_file() for path in table["path"])
    assert table["view"].fillna("?").tolist() == ["?", "AP", "PA", "AP", "AP"]
    assert any("1 frontal film says LL or RL" in note for note in found.notes)
    assert [(item.reason, item.count) for item in found.left_out] == [
        ("no row of the tables names this image", 1)
    ]


def test_chexpert_in_batches_by_name(tmp_path: Path):
    """Below --data, in the folder of the whole or right beside other sets."""
    batches(tmp_path / "CheXpert-v1.0")
    LAYOUTS["kermany"].write(tmp_path / "chest_xray")
    batches(tmp_path / "bare")
    LAYOUTS["kermany"].write(tmp_path / "bare/chest_xray")
    for home in (tmp_path, tmp_path / "bare"):
        assert len(read_set("chexpert", home).table) == 5
    with pytest.raises(MissingError, match="all batches of the full release"):
        read_set("chexpert", tmp_path / "chest_xray")


def test_nih_in_twelve_folders(tmp_path: Path):
    """The images of the full release lie in images_001 to images_012."""
    columns = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
    )
    names = [f"{n:08d}_000.png" for n in range(1, 13)]
    rows = (f"{name},No Finding,0,{n},50,M,PA" for n, name in enumerate(names))
    text(tmp_path, "Data_Entry_2017.csv", (columns, *rows))
    for n, name in enumerate(names, 1):
        put(tmp_path / f"images_{n:03d}/images", [name])
    assert len(DATASETS["nih"].read(tmp_path).table) == 12


def test_chexpert_policy_on_uncertain_and_lateral(tmp_path: Path):
    found = read("chexpert", tmp_path)
    table = found.table
    assert set(table["finding"]) == {"No Finding", "Pneumonia"}
    assert table["official_part"].value_counts().to_dict() == {"train": 2, "validation": 1}
    patients = {"chexpert:patient00001", "chexpert:patient00002", "chexpert:patient64541"}
    assert set(table["patient_id"]) == patients
    assert table["view"].tolist() == ["AP", "AP", "AP"]
    assert sorted(table["sex"]) == ["F", "M", "M"]
    assert any("(-1) are left out" in note for note in found.notes)


def test_covid_xray_5k_source_tells_the_label(tmp_path: Path):
    found = read("covid_xray_5k", tmp_path)
    pairs = set(zip(found.table["source"], found.table["label"], strict=True))
    assert pairs == {("cohen", "covid19"), ("chexpert", "non_covid")}
    assert found.table["patient_id"].dropna().tolist() == ["covid_xray_5k:patient00123"]
    assert any("2 COVID-19 training images" in note for note in found.notes)


def test_covidx_sources_and_names_with_blanks(tmp_path: Path):
    rows = by_file(read("covidx", tmp_path))
    assert {name: row["source"] for name, row in rows.items()} == {
        "SARS-Fig5-day9.jpeg": "cohen",
        "COVID-00003b.jpg": "figure1",
        "COVID (12).png": "sirm",
        "47c78742-4998-4878-aec4-37b11b1354ac.png": "rsna",
        "CR.1.2.840.png": "actualmed",
    }
    assert rows["CR.1.2.840.png"]["official_part"] == "test"


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        (("", "_COVIDx9A"), ""),
        (("_COVIDx8A", "_COVIDx8B", "_COVIDx9B"), "_COVIDx8A"),
        (("_COVIDx9A", "_COVIDx_CXR-3A", "_COVIDx_CXR-3B"), "_COVIDx_CXR-3A"),
        (("_COVIDx2", "_COVIDx4"), "_COVIDx4"),
    ],
)
def test_covidx_chooses_one_version(tmp_path: Path, versions: tuple[str, ...], chosen: str):
    for version in versions:
        for part in ("train", "test"):
            text(tmp_path, f"{part}{version}.txt", (f"1 {part}.png normal",))
    put(tmp_path, ("train/train.png", "test/test.png"))
    found = DATASETS["covidx"].read(tmp_path)
    assert len(found.table) == 2
    assert f"read train{chosen}.txt" in found.notes[0]
    skipped = sum("another version" in item.reason for item in found.left_out)
    assert skipped == 1


def test_covidx_without_its_test_list_is_refused(tmp_path: Path):
    text(tmp_path, "train.txt", ("1 a.png normal",))
    put(tmp_path, ("train/a.png",))
    with pytest.raises(HilumError, match=r"'test\.txt' must be next to train\.txt"):
        DATASETS["covidx"].read(tmp_path)


def test_covidx_binary_lists(tmp_path: Path):
    text(tmp_path, "train.txt", ("1 a.png positive cohen", "2 b.png negative rsna"))
    text(tmp_path, "test.txt", ())
    put(tmp_path, ("train/a.png", "train/b.png"))
    table = DATASETS["covidx"].read(tmp_path).table
    assert table["label"].tolist() == ["covid19", "non_covid"]


def test_radiography_sources_and_masks(tmp_path: Path):
    rows = by_file(read("radiography", tmp_path))
    assert {name: row["source"] for name, row in rows.items()} == {
        "COVID-1.png": "sirm",
        "COVID-2.png": "bimcv",
        "COVID-3.png": "example.org",
        "Normal-1.png": "rsna",
        "Normal-2.png": "kermany",
        "Lung_Opacity-1.png": "radiography",
        "Viral Pneumonia-1.png": "radiography",
    }
    assert rows["COVID-1.png"]["mask_path"].endswith("COVID/masks/COVID-1.png")
    assert rows["COVID-3.png"]["mask_path"] is None


def test_radiography_first_release_has_flat_folders(tmp_path: Path):
    put(tmp_path, ("COVID/COVID (1).png", "NORMAL/NORMAL (1).png", "Viral Pneumonia/V (1).png"))
    table = DATASETS["radiography"].read(tmp_path).table
    assert sorted(table["label"]) == ["covid19", "normal", "viral_pneumonia"]


def test_figure1_groups_films_of_one_patient(tmp_path: Path):
    rows = by_file(read("figure1", tmp_path))
    assert rows["COVID-00003a.jpg"]["patient_id"] == "figure1:COVID-00003"
    assert rows["COVID-00003b.jpg"]["patient_id"] == "figure1:COVID-00003"
    assert rows["COVID-00003a.jpg"]["age"] is None  # "50+"
    assert rows["COVID-00001.jpg"]["view"] == "AP"
    assert rows["COVID-00023.png"]["label"] == "normal"


def test_covid_ct_joins_both_meta_files(tmp_path: Path):
    found = read("covid_ct", tmp_path)
    rows = by_file(found)
    assert rows["2020.02.10-p6-52%0.png"]["patient_id"] == "covid_ct:Patient_12"
    assert rows["a.png"]["patient_id"] == "covid_ct:Patient_12"
    assert rows["c.png"]["patient_id"] is None
    assert rows["1046.jpg"]["patient_id"] == "covid_ct:medpix_patient_31"
    parts = {name: row["official_part"] for name, row in rows.items()}
    assert parts == {
        "2020.02.10-p6-52%0.png": "test",
        "a.png": "train",
        "c.png": "train",
        "10%0.jpg": "validation",
        "1046.jpg": "validation",
    }
    assert any("patient of 1 slice is" in note for note in found.notes)


def test_covid_ct_still_packed_says_so(tmp_path: Path):
    put(tmp_path, ("Images-processed/CT_COVID.zip", "Images-processed/CT_NonCOVID.zip"))
    assert DATASETS["covid_ct"].recognises(tmp_path)
    with pytest.raises(MissingError, match="unpack this archive where it lies"):
        DATASETS["covid_ct"].read(tmp_path)


def test_covid_ct_without_any_table_has_no_patients(tmp_path: Path):
    put(tmp_path, ("Images-processed/CT_COVID/a.png", "Images-processed/CT_NonCOVID/b.png"))
    found = DATASETS["covid_ct"].read(tmp_path)
    assert found.table["patient_id"].isna().all()
    assert any("patient of 2 slices" in note for note in found.notes)


def test_mendeley_keeps_modalities_apart(tmp_path: Path):
    LAYOUTS["mendeley"].write(tmp_path / "COVID-19 Dataset")
    assert DATASETS["mendeley"].recognises(tmp_path)  # one folder too high, as the archive unpacks
    found = DATASETS["mendeley"].read(tmp_path)
    counts = found.table.groupby(["modality", "label"]).size().to_dict()
    assert counts == {
        ("CT", "covid19"): 1,
        ("CT", "non_covid"): 2,
        ("X-ray", "covid19"): 2,
        ("X-ray", "non_covid"): 1,
    }
    assert "CT COVID 1, CT Non-COVID 2, X-ray COVID 2, X-ray Non-COVID 1" in found.notes[0]


def test_sarscov2_ct_tells_an_odd_count(tmp_path: Path):
    found = read("sarscov2_ct", tmp_path)
    assert found.notes[1].endswith("3 images were found; the release has 2,481 or 2,482.")


def test_montgomery_and_shenzhen_masks_and_readings(tmp_path: Path):
    rows = by_file(read("montgomery_shenzhen", tmp_path))
    assert rows["MCUCXR_0001_0.png"]["mask_path"].endswith("masks/MCUCXR_0001_0.png")
    assert rows["CHNCXR_0001_0.png"]["mask_path"].endswith("masks/CHNCXR_0001_0_mask.png")
    assert rows["CHNCXR_0025_0.png"]["mask_path"] is None
    assert [rows[f"{stem}.png"]["sex"] for stem in ("MCUCXR_0001_0", "CHNCXR_0001_0")] == ["F", "M"]
    assert rows["MCUCXR_0104_1.png"]["age"] == 61
    assert rows["CHNCXR_0327_1.png"]["age"] == 1.5  # 18 months
    assert rows["CHNCXR_0327_1.png"]["finding"] == "tuberculosis"
    assert rows["CHNCXR_0327_1.png"]["source"] == "shenzhen"


def test_montgomery_alone_has_a_mask_per_lung(tmp_path: Path):
    name = "MCUCXR_0001_0.png"
    put(tmp_path, (f"CXR_png/{name}", *(f"ManualMask/{s}Mask/{name}" for s in ("left", "right"))))
    found = DATASETS["montgomery_shenzhen"].read(tmp_path)
    assert found.table["mask_path"].isna().all()
    assert [item.reason for item in found.left_out] == ["a mask of one lung only"]


# ---- what the readers share --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "view"),
    [
        ("PA", "PA"),
        ("AP erect", "AP"),
        ("AP semi-erect", "AP"),
        ("AP Supine", "AP supine"),
        ("APS", "AP supine"),
        ("L", "lateral"),
        ("Axial", "axial"),
        ("Coronal", None),
        ("?", None),
        ("", None),
    ],
)
def test_view(said: str, view: str | None):
    assert values.view(said) == view


@pytest.mark.parametrize(
    ("said", "years"),
    [
        ("58", 58),
        ("058Y", 58),
        ("18M", 1.5),
        ("12.5", 12.5),
        ("026W", pytest.approx(0.498, abs=1e-3)),
        ("50+", None),
        ("", None),
    ],
)
def test_age(said: str, years: float | None):
    assert values.age(said) == years


def test_tally_phrases():
    tally = Tally()
    tally.skip("nothing", [])
    tally.skip("one", ["a.png"], "file")
    tally.skip("many", (f"{n}.png" for n in range(1200)))
    one, many = tally.left_out()
    assert (one.what, one.reason) == ("1 file (a.png)", "one")
    assert (many.what, many.reason) == ("1,200 rows (0.png, 1.png, 2.png, ...)", "many")


@pytest.mark.parametrize("shared_strings", [True, False])
def test_sheet_keeps_cells_in_their_columns(tmp_path: Path, shared_strings: bool):
    rows = (("A", "B", "C"), ("1", "", "x & y"), ("", "2.5", ""))
    workbook(tmp_path / "s.xlsx", rows, shared=shared_strings)
    table = read_sheet(tmp_path / "s.xlsx")
    pd.testing.assert_frame_equal(
        table, pd.DataFrame([["1", "", "x & y"], ["", "2.5", ""]], columns=list("ABC"), dtype=str)
    )


def test_sheet_of_something_else_is_refused(tmp_path: Path):
    (tmp_path / "s.xlsx").write_bytes(b"no archive")
    with pytest.raises(HilumError, match=r"must be an Excel workbook"):
        read_sheet(tmp_path / "s.xlsx")


def test_an_unpacked_size_beyond_all_metadata_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    workbook(tmp_path / "s.xlsx", (("A",), ("1",)))
    monkeypatch.setattr("hilum.datasets.spreadsheet._LARGEST", 100)
    with pytest.raises(HilumError, match=r"must be an Excel workbook"):
        read_sheet(tmp_path / "s.xlsx")


def test_a_table_that_lacks_a_column_is_refused(tmp_path: Path):
    text(tmp_path, "t.csv", ("a,b", "1,2"))
    with pytest.raises(HilumError, match="'c'"):
        layout.read_table(tmp_path / "t.csv", ("a", "c"))


def test_same_name_in_two_folders_is_told(tmp_path: Path):
    put(tmp_path, ("one/a.png", "two/a.png"))
    tally = Tally()
    assert layout.walk(tmp_path).by_name(tally) == {"a.png": "one/a.png"}
    assert tally.left_out()[0].what == "1 file (two/a.png)"


def test_walk_follows_links_but_no_loops(tmp_path: Path):
    put(tmp_path, ("elsewhere/a.png", "elsewhere/.hidden/b.png", "set/c.png", "set/notes.txt"))
    (tmp_path / "set/images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set/again").symlink_to(tmp_path / "set", target_is_directory=True)
    (tmp_path / "elsewhere/up").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert layout.walk(tmp_path / "set").images == ("c.png", "images/a.png")
