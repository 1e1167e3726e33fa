"""Class folders, tables and DICOM trees as users have them, clean and dirty."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hilum import datasets
from hilum.data import manifest
from hilum.datasets import (
    Columns,
    class_folders,
    columns,
    dicom_tree,
    table,
    table_paths,
    vocabulary,
)
from hilum.types import HilumError, LeftOut, Manifest, MissingError


def draw(home: Path, *names: str) -> Path:
    """Write a small grey image, never the same twice, at each of `names`."""
    for i, name in enumerate(names):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8 + i), 40 + i, np.uint8)).save(path)
    return home


def dicom(path: Path, uid: str, patient: str, **more: str) -> Path:
    """Write the smallest DX file that has a header worth reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = uid
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
    data.PatientID, data.Modality, data.ViewPosition = patient, "DX", "PA"
    data.PatientAge, data.PatientSex = "061Y", "F"
    data.Rows = data.Columns = 8
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = bytes(64)
    for name, value in more.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def by_name(found: Manifest, column: str) -> dict[str, object]:
    names = [Path(path).name for path in found.table["path"]]
    values = [None if pd.isna(value) else value for value in found.table[column]]
    return dict(zip(names, values, strict=True))


# names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("COVID", "covid19"), ("COVID-19", "covid19"), ("covid19", "covid19"),
        ("CT_COVID", "covid19"), ("Covid 19 positive", "covid19"), ("NORMAL", "normal"),
        ("No_Finding", "normal"), ("No Finding", "normal"), ("non-COVID", "non_covid"),
        ("CT_NonCOVID", "non_covid"), ("Viral Pneumonia", "viral_pneumonia"),
        ("BACTERIA", "bacterial_pneumonia"), ("PNEUMONIA", "pneumonia"),
        ("Lung_Opacity", "lung_opacity"), ("Tb / active", "tb_active"), ("Größe", "grösse"),
        ("0", "0"), ("---", "minus_minus_minus"), ("=1+1", "equals_1_plus_1"),
    ],
)  # fmt: skip
def test_class_names(text: str, wanted: str) -> None:
    assert vocabulary.class_name(text) == wanted


# class folders


def test_class_folders(tmp_path: Path) -> None:
    draw(tmp_path / "mine", "COVID-19/a.png", "COVID-19/deep/er/b.jpg", "No_Finding/c.png")
    found = class_folders.read_class_folders(tmp_path / "mine")
    assert by_name(found, "label") == {"a.png": "covid19", "b.jpg": "covid19", "c.png": "normal"}
    assert by_name(found, "finding")["c.png"] == "No_Finding"
    assert by_name(found, "sample_id")["b.jpg"] == "folder/mine/COVID-19/deep/er/b.jpg"
    assert set(found.table["dataset"]) == {"folder"}
    assert found.table["source"].isna().all()
    assert found.table["official_part"].isna().all()
    assert any("patient of every image is unknown" in note for note in found.notes)


def test_two_folders_of_the_same_shape_can_stand_together(tmp_path: Path) -> None:
    both = [
        class_folders.read_class_folders(draw(tmp_path / name, "A/1.png", "B/1.png"))
        for name in ("one", "two")
    ]
    assert len(manifest.concat(both).table) == 4


def test_parts_above_the_classes_become_the_official_split(tmp_path: Path) -> None:
    draw(tmp_path, "train/A/1.png", "Train/B/2.png", "val/A/3.png", "TEST/B/4.png")
    draw(tmp_path, "test/5.png", "extra/A/6.png", "7.png")
    found = class_folders.read_class_folders(tmp_path)
    assert by_name(found, "official_part") == {
        "1.png": "train", "2.png": "train", "3.png": "validation", "4.png": "test",
    }  # fmt: skip
    assert [(Path(item.what).name, item.reason) for item in found.left_out] == [
        (name, "not inside the train, validation and test folders with class folders")
        for name in ("7.png", "6.png", "5.png")
    ]


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    found = class_folders.read_class_folders(draw(tmp_path, "control/1.png", "test/2.png"))
    assert by_name(found, "label") == {"1.png": "control", "2.png": "test"}


def test_masks_are_never_taken_for_images(tmp_path: Path) -> None:
    draw(tmp_path, "COVID/images/1.jpg", "COVID/masks/1.png", "Normal/images/2.png")
    draw(tmp_path, "Normal/masks/3.png", "masks/Normal/4.png", "Normal/4.png")
    found = class_folders.read_class_folders(tmp_path)
    masks = by_name(found, "mask_path")
    assert set(masks) == {"1.jpg", "2.png", "4.png"}
    assert masks["1.jpg"] == str(tmp_path / "COVID/masks/1.png")
    assert masks["4.png"] == str(tmp_path / "masks/Normal/4.png")
    assert masks["2.png"] is None
    lonely = LeftOut(
        str(tmp_path / "Normal/masks/3.png"), "a mask without an image of the same name"
    )
    assert lonely in found.left_out


def test_what_is_not_used_is_listed(tmp_path: Path) -> None:
    draw(tmp_path, "A/1.png", "B/2.png", "stray.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "A" / "notes.docx").write_text("x")
    (tmp_path / "A" / ".hidden.png").write_text("x")
    found = class_folders.read_class_folders(tmp_path)
    reasons = {item.reason for item in found.left_out}
    assert reasons == {
        "not inside the class folders", "no image in it", "not PNG, JPEG, TIFF or DICOM",
    }  # fmt: skip
    assert LeftOut(f"class folder {tmp_path / 'empty'}", "no image in it") in found.left_out


def test_folders_that_mean_one_class_are_told(tmp_path: Path) -> None:
    found = class_folders.read_class_folders(
        draw(tmp_path, "COVID/1.png", "covid-19/2.png", "B/3.png")
    )
    assert set(found.table["label"]) == {"covid19", "b"}
    assert "'COVID', 'covid-19' count as one class, covid19." in found.notes


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["A/1.png"], "one class only, 'a'; sort them into class folders"),
        (["1.png", "2.png"], "2 images in no class folder"),
        ([], "0 images in no class folder"),
        (["COVID/1.png", "covid19/2.png"], "one class only, 'covid19'"),
        (["data/A/1.png", "data/B/1.png"], "one class only, 'data'; did you mean {root}/data?"),
    ],
)
def test_fewer_than_two_classes_say_what_was_found(
    tmp_path: Path, files: list[str], words: str
) -> None:
    with pytest.raises(HilumError, match="for each of two or more classes") as caught:
        class_folders.read_class_folders(draw(tmp_path, *files))
    assert words.replace("{root}", str(tmp_path)) in str(caught.value)


def test_an_empty_class_is_named_when_only_one_is_left(tmp_path: Path) -> None:
    (tmp_path / "NORMAL").mkdir()
    with pytest.raises(HilumError, match=r"'covid19', and no image in class folder .*/NORMAL;"):
        class_folders.read_class_folders(draw(tmp_path, "COVID/1.png"))


# patients


def test_patients_come_from_a_table(tmp_path: Path) -> None:
    draw(tmp_path, "A/1.png", "A/2.png", "B/1.png", "B/3.png")
    text = "file;Patient\nA/1.png;7\nB/1.png;8\n2.png;7\n"
    (tmp_path / "patients.csv").write_text(text)
    found = class_folders.read_class_folders(tmp_path)
    ids = dict(zip(found.table["sample_id"].str[-7:], found.table["patient_id"], strict=True))
    assert ids["A/1.png"] == ids["A/2.png"] == "folder:7"
    assert ids["B/1.png"] == "folder:8"
    assert pd.isna(ids["B/3.png"])
    assert any("patient of 1 of 4 images is unknown" in note for note in found.notes)


def test_patients_come_from_file_names_if_all_have_one(tmp_path: Path) -> None:
    draw(tmp_path, "A/patient012_1.png", "A/Patient-12.png", "B/person7.png", "B/patient70_a.png")
    assert by_name(class_folders.read_class_folders(tmp_path), "patient_id") == {
        "patient012_1.png": "folder:12", "Patient-12.png": "folder:12",
        "person7.png": "folder:7", "patient70_a.png": "folder:70",
    }  # fmt: skip
    draw(tmp_path, "A/patientless.png")
    assert class_folders.read_class_folders(tmp_path).table["patient_id"].isna().all()


# tables


def write(home: Path, text: str | bytes, name: str = "images.csv") -> Path:
    file = home / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return file


def test_a_table_with_every_column(tmp_path: Path) -> None:
    draw(tmp_path, "x/1.png", "x/2.png", "m/1.png")
    text = (
        "Image Index,Finding Labels,Patient ID,Site,View Position,Patient Age,Patient Gender,"
        "split,mask\n"
        "x/1.png,COVID-19,3,A,pa,61,F,train,m/1.png\n"
        "x/2.png,No Finding,4,B,AP,52,M,val,\n"
    )
    found = table.read_image_table(write(tmp_path, text))
    row = found.table.iloc[0]
    assert row["label"] == "covid19"
    assert row["finding"] == "COVID-19"
    assert (row["patient_id"], row["source"], row["view"]) == ("table:3", "A", "PA")
    assert (row["age"], row["sex"], row["official_part"]) == (61.0, "F", "train")
    assert row["mask_path"] == str(tmp_path / "m/1.png")
    assert found.table["official_part"].tolist() == ["train", "validation"]
    assert pd.isna(found.table["mask_path"][1])
    assert found.left_out == ()


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("cp1252"),
        lambda text: text.replace("\n", "\n\n").encode(),
        lambda text: text.replace("a.png", '"a.png"').replace(",", " , ").encode(),
    ],
    ids=["bom", "crlf", "semicolon", "tab", "utf16", "cp1252", "blank lines", "quotes"],
)
def test_whatever_wrote_the_table(tmp_path: Path, encode: object) -> None:
    draw(tmp_path, "a.png", "b.png")
    text = "path,label,hospital\na.png,Übel,Köln\nb.png,gut,Köln\n"
    found = table.read_image_table(write(tmp_path, encode(text)))  # type: ignore[operator]
    assert by_name(found, "label") == {"a.png": "übel", "b.png": "gut"}
    assert set(found.table["source"]) == {"Köln"}


def test_columns_that_are_given_win(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png")
    file = write(tmp_path, "path,label,Truth\na.png,x,COVID\nb.png,x,normal\n")
    found = table.read_image_table(file, Columns(label="truth"))
    assert by_name(found, "label") == {"a.png": "covid19", "b.png": "normal"}
    with pytest.raises(
        HilumError, match=r"column 'thruth'; got .*'path', 'label', 'Truth'; did you m"
    ):
        table.read_image_table(file, Columns(label="thruth"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "a column for the path, such as 'path'; got 'a', 'b'"),
        ("path,b\n1,2\n", "a column for the label, such as 'label'; got 'path', 'b'"),
        ("", "got: No columns to parse"),
        ("path,label\na.png,x,too,many\n", "must be a table of comma-separated values"),
        ("path,label\na.png,x\n", "2 to 100 classes; got only 'x'"),
        ("path,label\n", "2 to 100 classes; got only 'none'"),
        ("path,label\na.png,x\na.png,y\n", "one label; got 1 with several"),
        ('path,label\n"a.png,x\n', "must be a table of comma-separated values"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    draw(tmp_path, "a.png")
    with pytest.raises(HilumError) as caught:
        table.read_image_table(write(tmp_path, text))
    assert words in str(caught.value)


def test_a_column_of_numbers_is_no_column_of_classes(tmp_path: Path) -> None:
    draw(tmp_path, *(f"{i}.png" for i in range(101)))
    text = "path,label\n" + "".join(f"{i}.png,{i}.5\n" for i in range(101))
    with pytest.raises(HilumError, match="2 to 100 classes; got 101 different labels"):
        table.read_image_table(write(tmp_path, text))


def test_rows_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png", "c.png")
    text = "path,label\na.png,x\nb.png,y\nc.png,\ngone.png,x\n,x\na.png,x\n\0.png,x\n" + "n" * 999
    found = table.read_image_table(write(tmp_path, text + ".png,y\n"))
    assert [Path(path).name for path in found.table["path"]] == ["a.png", "b.png"]
    assert [(Path(item.what).name[:9], item.reason) for item in found.left_out] == [
        ("line 6", "no path"),
        ("c.png", "no label"),
        ("gone.png", "no such image"),
        ("\0.png", "no such image"),
        ("nnnnnnnnn", "no such image"),
        ("a.png", "listed more than once"),
    ]


def test_bare_names_are_looked_for_below_the_table(tmp_path: Path) -> None:
    draw(tmp_path, "images/1/a.png", "images/2/b.png", "one/c.png", "two/c.png")
    found = table.read_image_table(write(tmp_path, "image,label\na.png,x\nb.png,y\nc.png,y\n"))
    assert by_name(found, "sample_id")["a.png"].endswith("images/1/a.png")  # type: ignore[attr-defined]
    assert found.left_out == (LeftOut("c.png", table_paths.SEVERAL),)


def test_paths_may_be_absolute_upward_or_from_windows(tmp_path: Path) -> None:
    draw(tmp_path, "up/a.png", "in/deep/b.png", "c.png")
    (tmp_path / "in").mkdir(exist_ok=True)
    text = f"path,label\n../up/a.png,x\ndeep\\b.png,y\n{tmp_path / 'c.png'},y\n"
    found = table.read_image_table(write(tmp_path / "in", text))
    wanted = [tmp_path / "up/a.png", tmp_path / "in/deep/b.png", tmp_path / "c.png"]
    assert found.table["path"].tolist() == [str(path) for path in wanted]
    assert found.table["sample_id"].is_unique


def test_formulas_stay_text(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png")
    text = 'path,label,site,patient\na.png,"=HYPERLINK(""x"")",@SUM(1),=1\nb.png,y,-1,+2\n'
    found = table.read_image_table(write(tmp_path, text)).table
    cells = found[["label", "finding", "source", "patient_id", "sample_id"]].to_numpy().ravel()
    assert not any(str(cell).startswith(("=", "+", "-", "@")) for cell in cells)
    assert found["source"].tolist() == ["'@SUM(1)", "'-1"]


def test_folds_are_numbered_and_words_that_mean_no_part_stay_and_are_named(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png")
    found = table.read_image_table(write(tmp_path, "path,label,fold\na.png,x,0\nb.png,y,1.0\n"))
    assert found.table["official_part"].tolist() == ["fold 0", "fold 1"]
    odd = table.read_image_table(write(tmp_path, "path,label,split\na.png,x,0\nb.png,y,test\n"))
    assert odd.table["official_part"].tolist() == ["0", "test"]
    assert any("neither train, validation nor test, such as '0'" in note for note in odd.notes)


def test_modalities_of_a_table_are_read_and_odd_ones_named(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png", "c.png", "d.png")
    text = "path,label,Modality\na.png,x,ct\nb.png,y,DX\nc.png,x,\nd.png,y,=MR\n"
    found = table.read_image_table(write(tmp_path, text))
    assert found.table["modality"].fillna("?").tolist() == ["CT", "X-ray", "?", "?"]
    assert 'Modalities other than X-ray and CT ("\'=MR") count as missing.' in found.notes


def test_a_folder_must_hold_exactly_one_table(tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="exactly one CSV; got none"):
        table.read_image_table(tmp_path)
    draw(tmp_path, "a.png", "b.png")
    write(tmp_path, "path,label\na.png,x\nb.png,y\n")
    assert len(table.read_image_table(tmp_path).table) == 2
    write(tmp_path, "path,label\n", "other.csv")
    with pytest.raises(HilumError, match=r"got images\.csv, other\.csv"):
        table.read_image_table(tmp_path)


def test_an_unlabelled_reading_of_columns() -> None:
    frame = pd.DataFrame(columns=["IMAGE_PATH", "Image", "Class"])
    assert columns.find_columns(frame, Columns(), (), "x") == {
        "path": "IMAGE_PATH",
        "label": "Class",
    }


@pytest.mark.slow
def test_random_damage_to_a_table_is_a_sentence_or_a_manifest(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png")
    whole = np.frombuffer(
        b'path,label,age,split,site\n"a.png",x,3,train,=1\nb.png,y,4,test,\n', "u1"
    )
    rng = np.random.default_rng(5)
    marks = np.frombuffer(b'";,\t\n\r\0\xff\xfe', "u1")
    fine = 0
    for trial in range(120):
        data = whole.copy()
        places = rng.integers(len(data), size=1 + trial % 6)
        data[places] = rng.choice(np.concatenate([marks, np.arange(256, dtype="u1")]), len(places))
        try:
            fine += len(table.read_image_table(write(tmp_path, data.tobytes())).table) == 2
        except HilumError:
            continue
    assert 5 < fine < 115


# DICOM trees


def test_dicom_in_class_folders(tmp_path: Path) -> None:
    dicom(tmp_path / "COVID/p/IM0", "1.2.3", "P1")
    dicom(tmp_path / "normal/b.dcm", "1.2.4", "P2", PatientAge="018M", ViewPosition="AP")
    (tmp_path / "normal/broken.dcm").write_bytes(bytes(128) + b"DICM" + b"x" * 40)
    found = dicom_tree.read_dicom_tree(tmp_path)
    assert by_name(found, "patient_id") == {"IM0": "dicom:P1", "b.dcm": "dicom:P2"}
    assert by_name(found, "age") == {"IM0": 61.0, "b.dcm": 1.5}
    assert by_name(found, "view") == {"IM0": "PA", "b.dcm": "AP"}
    assert set(found.table["modality"]) == {"X-ray"}
    assert set(found.table["sex"]) == {"F"}
    assert [item.what for item in found.left_out] == [str(tmp_path / "normal/broken.dcm")]


@pytest.mark.parametrize(
    "text",
    [
        "SOPInstanceUID,label\n1.2.3,covid\n1.2.4,normal\n",
        "PatientID,diagnosis\nP1,covid\nP2,normal\nP2,normal\n",
        "file,label\nx/a.dcm,covid\nb.dcm,normal\n",
        "image_id,label\na,covid\nb,normal\n",
        "image_id,label\n1.2.3,covid\n1.2.4,normal\n",
    ],
    ids=["instance", "patient", "path and name", "stem", "instance as image_id"],
)
def test_dicom_with_a_table(tmp_path: Path, text: str) -> None:
    dicom(tmp_path / "x/a.dcm", "1.2.3", "P1")
    dicom(tmp_path / "y/b.dcm", "1.2.4", "P2")
    dicom(tmp_path / "y/c.dcm", "1.2.5", "P3")
    write(tmp_path, text)
    found = datasets.open_path(tmp_path)
    assert by_name(found, "label") == {"a.dcm": "covid19", "b.dcm": "normal"}
    assert by_name(found, "patient_id") == {"a.dcm": "dicom:P1", "b.dcm": "dicom:P2"}
    unlabelled = LeftOut(str(tmp_path / "y/c.dcm"), "no label in images.csv")
    assert unlabelled in found.left_out


def test_a_table_knows_better_than_the_header(tmp_path: Path) -> None:
    dicom(tmp_path / "a.dcm", "1.2.3", "ANON")
    dicom(tmp_path / "b.dcm", "1.2.4", "ANON")
    write(tmp_path, "path,label,patient_id,site\na.dcm,covid,7,A\nb.dcm,normal,,B\n")
    found = datasets.open_path(tmp_path)
    assert by_name(found, "patient_id") == {"a.dcm": "dicom:7", "b.dcm": "dicom:ANON"}
    assert by_name(found, "source") == {"a.dcm": "A", "b.dcm": "B"}
    assert by_name(found, "age") == {"a.dcm": 61.0, "b.dcm": 61.0}


def test_dicom_tables_that_cannot_be_used(tmp_path: Path) -> None:
    dicom(tmp_path / "a.dcm", "1.2.3", "P1")
    write(tmp_path, "PatientID,label\nP1,covid\nP1,normal\n")
    with pytest.raises(HilumError, match="one label to each PatientID; got several for 'P1'"):
        dicom_tree.read_dicom_tree(tmp_path)
    write(tmp_path, "hospital,label\nA,covid\nB,normal\n")
    with pytest.raises(HilumError, match=r"by path, SOPInstanceUID, Study.* or PatientID"):
        dicom_tree.read_dicom_tree(tmp_path)
    write(tmp_path, "PatientID,weight\nP1,70\n")
    with pytest.raises(HilumError, match="got 1 image in no class folder"):
        dicom_tree.read_dicom_tree(tmp_path)


def test_a_csv_that_points_to_dicom_files(tmp_path: Path) -> None:
    dicom(tmp_path / "d/a.dcm", "1.2.3", "P1")
    draw(tmp_path, "d/b.png")
    found = table.read_image_table(write(tmp_path, "path,label\nd/a.dcm,covid\nd/b.png,normal\n"))
    assert by_name(found, "patient_id") == {"a.dcm": "table:P1", "b.png": None}
    assert by_name(found, "modality") == {"a.dcm": "X-ray", "b.png": None}


# anything


def test_open_path_takes_what_it_is_given(tmp_path: Path) -> None:
    home = draw(tmp_path / "c", "A/1.png", "B/2.png")
    as_folder = datasets.open_path(home)
    saved = manifest.save_manifest(as_folder, tmp_path / "run" / "manifest.parquet")
    for path in (saved, saved.parent):
        pd.testing.assert_frame_equal(datasets.open_path(path).table, as_folder.table)
    write(home, "path,class\nA/1.png,x\nB/2.png,y\n")
    assert set(datasets.open_path(home).table["dataset"]) == {"table"}
    assert set(datasets.open_path(home / "images.csv").table["dataset"]) == {"table"}
    write(home, "name,weight\nx,1\n")  # a CSV that says nothing of images
    assert set(datasets.open_path(home).table["dataset"]) == {"folder"}


def test_open_path_says_what_is_wrong(tmp_path: Path) -> None:
    draw(tmp_path, "data/A/1.png")
    with pytest.raises(HilumError, match=rf"got nothing; did you mean {tmp_path}/data\?"):
        datasets.open_path(tmp_path / "dta")
    with pytest.raises(HilumError, match="got nothing; check the path"):
        datasets.open_path(tmp_path / "no" / "where")
    with pytest.raises(HilumError, match=r"got a file ending in '\.png'; name the folder"):
        datasets.open_path(tmp_path / "data/A/1.png")


def test_a_users_own_covid_folders_are_not_taken_for_a_published_set(tmp_path: Path) -> None:
    draw(tmp_path / "mine", "COVID/1.png", "non-COVID/2.png")
    draw(tmp_path / "sarscov2-ctscan-dataset", "COVID/1.png", "non-COVID/2.png")
    assert set(datasets.open_path(tmp_path / "mine").table["dataset"]) == {"folder"}
    published = datasets.open_path(tmp_path / "sarscov2-ctscan-dataset").table
    assert set(published["dataset"]) == {"sarscov2_ct"}


def test_read_finds_a_published_set_or_says_where_to_put_it(tmp_path: Path) -> None:
    inside = draw(tmp_path / "chest_xray", "train/NORMAL/IM-0001-0001.jpeg",
                  "train/PNEUMONIA/person1_virus_6.jpeg")  # fmt: skip
    assert len(datasets.read("kermany", tmp_path).table) == 2
    assert len(datasets.read("kermany", inside).table) == 2
    with pytest.raises(MissingError, match=r"'nih' must lie in .*; got no such folder; fetch"):
        datasets.read("nih", tmp_path)
    with pytest.raises(HilumError, match="did you mean 'kermany'"):
        datasets.read("kermanny", tmp_path)
    with pytest.raises(HilumError, match=r"got a folder of datasets .*name one, such as"):
        datasets.open_path(tmp_path)


def test_real_folders_are_recognised(shared: Path) -> None:
    with pytest.raises(HilumError, match="folder of datasets"):
        datasets.open_path(shared)
    wanted = {
        "chest_xray": ("kermany", 5856),
        "nih-chestxray14": ("nih", 693),
        "sarscov2-ctscan-dataset": ("sarscov2_ct", 2481),
        "COVID-CT": ("covid_ct", 368),
    }
    for name, (dataset, count) in wanted.items():
        found = datasets.open_path(shared / name).table
        assert set(found["dataset"]) == {dataset}
        assert len(found) == count


def test_real_class_folders_read_as_a_users_own(shared: Path) -> None:
    found = class_folders.read_class_folders(shared / "chest_xray")
    counts = found.table.groupby(["official_part", "label"]).size().to_dict()
    # Kermany et al. 2018 as published on Kaggle: 5,216 train, 16 validation, 624 test
    assert counts == {
        ("train", "normal"): 1341, ("train", "pneumonia"): 3875,
        ("validation", "normal"): 8, ("validation", "pneumonia"): 8,
        ("test", "normal"): 234, ("test", "pneumonia"): 390,
    }  # fmt: skip


def test_real_dicom_files(shared: Path, tmp_path: Path) -> None:
    for i, file in enumerate(sorted((shared / "dicom").glob("*.dcm"))):
        home = tmp_path / "ab"[i % 2]
        home.mkdir(exist_ok=True)
        (home / file.name).symlink_to(file)
    found = datasets.open_path(tmp_path)
    assert set(found.table["dataset"]) == {"dicom"}
    assert by_name(found, "patient_id")["nih_dx_1024.dcm"] == "dicom:Covid0000"
    assert by_name(found, "age")["nih_dx_1024.dcm"] == 81.0
    assert by_name(found, "view")["rsna_16d7f894.dcm"] == "PA"
    assert len(found.table) == 5


def test_numbered_part_folders_are_a_split(tmp_path: Path) -> None:
    for part in ("1_train", "2_validate", "03-test"):
        draw(tmp_path, f"{part}/a/{part}.png", f"{part}/b/{part}.png")
    found = class_folders.read_class_folders(tmp_path).table
    assert set(found["label"]) == {"a", "b"}
    assert dict(found["official_part"].value_counts()) == {"train": 2, "validation": 2, "test": 2}


@pytest.mark.parametrize("twin", ["._t.csv", "~$t.csv", ".t.csv"])
def test_hidden_twins_of_a_table_are_no_tables(tmp_path: Path, twin: str) -> None:
    draw(tmp_path, "0.png", "1.png")
    (tmp_path / "t.csv").write_text("image,label\n0.png,a\n1.png,b\n")
    (tmp_path / twin).write_bytes(b"\0\5\x16\7")
    assert len(table.read_image_table(tmp_path).table) == 2


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"'])
def test_the_separator_that_excel_states(tmp_path: Path, first: str) -> None:
    draw(tmp_path, "0.png", "1.png")
    text = f"{first}\r\nimage;label\r\n0.png;a, or b\r\n1.png;c\r\n"
    (tmp_path / "t.csv").write_text(text)
    assert list(table.read_image_table(tmp_path).table["finding"]) == ["a, or b", "c"]
