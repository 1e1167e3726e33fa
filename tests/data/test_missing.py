"""Words for missing values, and identifiers that are nobody's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_generic_readers import dicom

from hilum import datasets
from hilum.data import manifest, placeholders
from hilum.datasets import class_folders, table
from hilum.types import Manifest

WORDS = [
    "NA", "nan", "NaN", "None", "N/A", "n.a.", "#N/A", "<NA>", "null", "NULL", "(null)", "unknown",
    "Unknown", "?", "-", "--", "–", ".", "missing", "not available", "Not_Available", "#VALUE!",
    "unbekannt", "未知", "\\N", "N/A ", "unlabelled",
]  # fmt: skip


def draw(home: Path, count: int) -> list[str]:
    names = [f"{i:02d}.png" for i in range(count)]
    for i, name in enumerate(names):
        Image.fromarray(np.full((6, 7), i, np.uint8)).save(home / name)
    return names


def read(home: Path, columns: dict[str, list[str]]) -> Manifest:
    """A table of as many images as the columns have cells."""
    count = len(next(iter(columns.values())))
    rows = pd.DataFrame({"path": draw(home, count), **columns})
    rows.to_csv(home / "t.csv", index=False)
    return table.read_image_table(home / "t.csv")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_missing_is_no_class(tmp_path: Path, word: str) -> None:
    found = read(tmp_path, {"label": ["x", "y", word, "x"]})
    assert found.table["label"].tolist() == ["x", "y", "x"]
    assert [(item.what, item.reason) for item in found.left_out] == [("02.png", "no label")]
    assert any("count as missing" in note and repr(word.strip()) in note for note in found.notes)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_missing_is_nobody_and_nowhere(tmp_path: Path, word: str) -> None:
    columns = ("patient_id", "source", "view", "split", "modality", "age", "sex", "licence")
    usual = ("p1", "A", "PA", "train", "CT", "61", "F", "CC0")
    cells = {name: [word, value] * 2 for name, value in zip(columns, usual, strict=True)}
    found = read(tmp_path, {"label": ["x", "y", "y", "x"], **cells}).table
    for name in ("patient_id", "source", "view", "official_part", "modality", "age", "sex"):
        assert found[name].isna().tolist() == [True, False, True, False], name


def test_images_of_unknown_patients_are_counted(tmp_path: Path) -> None:
    patients = ["unknown" if i % 2 else f"p{i}" for i in range(12)]
    found = read(tmp_path, {"label": ["x", "x", "y"] * 4, "patient_id": patients})
    assert found.table["patient_id"].nunique() == 6
    assert any("patient of 6 of 12 images is unknown" in note for note in found.notes)


@pytest.mark.parametrize("word", ["0", "N", "-1", "normal", "no", "N1", "KA", "name", "negative"])
def test_words_that_say_something_stay(tmp_path: Path, word: str) -> None:
    assert len(read(tmp_path, {"label": ["x", word, "x"]}).table) == 3


def test_a_minus_beside_a_plus_is_a_result(tmp_path: Path) -> None:
    found = read(tmp_path, {"label": ["+", "-", "-", "++"]}).table
    assert found["label"].tolist() == ["plus", "minus", "minus", "plus_plus"]


def test_a_list_of_patients_may_say_so_as_well(tmp_path: Path) -> None:
    for name in ("A/1.png", "A/2.png", "B/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((6, 7), len(name), np.uint8)).save(tmp_path / name)
    text = "path,patient_id\nA/1.png,NA\nA/2.png,NA\nB/1.png,7\n"
    (tmp_path / "patients.csv").write_text(text)
    assert class_folders.read_class_folders(tmp_path).table["patient_id"].isna().tolist() == [
        True,
        True,
        False,
    ]


def test_any_reader_may_hand_on_words(tmp_path: Path) -> None:
    rows = [{"path": f"{i}.png", "patient_id": "nan", "source": "N/A"} for i in range(3)]
    built = manifest.assemble_manifest(rows, "any").table
    assert built["patient_id"].isna().all()
    assert built["source"].isna().all()


@pytest.mark.parametrize("name", ["unknown", "NA", "none"])
def test_a_folder_is_a_class_whatever_its_name_and_that_is_said(tmp_path: Path, name: str) -> None:
    for label in ("x", name):
        (tmp_path / label).mkdir()
        Image.fromarray(np.full((6, 7), 3, np.uint8)).save(tmp_path / label / "1.png")
    found = class_folders.read_class_folders(tmp_path)
    assert set(found.table["label"]) == {"x", name.lower()}
    assert any(f"Folder {name!r} counts as a class" in note for note in found.notes)


def test_ages_are_read_in_dicoms_way_and_odd_ones_named(tmp_path: Path) -> None:
    found = read(tmp_path, {"label": ["x", "y", "x", "y"], "age": ["061Y", "18M", "sixty", "7"]})
    assert found.table["age"].fillna(-1).tolist() == [61.0, 1.5, -1.0, 7.0]
    assert "Ages that are no number ('sixty') count as missing." in found.notes


# placeholders


def people(patients: list[str], **more: list[object]) -> pd.DataFrame:
    labels = ["x", "y"] * len(patients)
    return pd.DataFrame({"patient_id": patients, "label": labels[: len(patients)], **more})


@pytest.mark.parametrize(
    "name", ["ANONYMOUS", "Anonymous^Patient", "anon", "ANONYMIZED", "De-Identified", "REMOVED"]
)
def test_words_of_deidentification_are_nobody(name: str) -> None:
    patients, notes = placeholders.dropped(people([name, "P1", name, "P2"]))
    assert patients.isna().tolist() == [True, False, True, False]
    assert notes == [
        f"The patient identifier {name!r} of 2 of 4 images is a placeholder, not a person. The "
        "patients of these images are unknown."
    ]


@pytest.mark.parametrize("name", ["0", "000000", "99999", "XXXX", "12345", "-1"])
def test_a_filler_on_many_films_is_nobody(name: str) -> None:
    patients, notes = placeholders.dropped(people([name] * 6 + [f"P{i}" for i in range(12)]))
    assert patients.isna().sum() == 6
    assert repr(name) in notes[0]


@pytest.mark.parametrize("rest", [0, 9])
def test_what_most_films_of_several_classes_share_is_nobody(rest: int) -> None:
    patients, notes = placeholders.dropped(people(["H-7"] * 20 + [f"P{i}" for i in range(rest)]))
    assert patients.isna().sum() == 20
    assert "'H-7'" in notes[0]


def test_one_identifier_of_both_sexes_is_nobody_however_often_the_next_comes() -> None:
    rows = people(["A"] * 14 + ["B"] * 9, sex=["F", "F", "M"] * 7 + ["F", "F"])
    assert placeholders.dropped(rows)[0].isna().sum() == 14


@pytest.mark.parametrize(
    "rows",
    [
        people(["P1"] * 8),
        people(["P1"] * 20, sex=["F"] * 20, age=[61.0] * 20),
        people(["P1"] * 20).assign(label="x"),
        people(["P1"] * 300 + ["P2"] * 20).assign(modality="CT"),
        people(["P1"] * 14 + ["P2"] * 12),
        people([f"{i // 4}" for i in range(40)]),
        people(["0"] * 12 + ["1"] * 10 + ["2"] * 9),
        people(["ANON", "P1", "P2", "P3"]),
    ],
    ids=["few", "one person", "one class", "slices", "two people", "numbers", "from 0", "once"],
)
def test_people_with_many_films_stay_people(rows: pd.DataFrame) -> None:
    patients, notes = placeholders.dropped(rows)
    assert patients.tolist() == rows["patient_id"].tolist()
    assert notes == []


@pytest.mark.parametrize("name", ["ANONYMOUS", "000000", "Anonymous^Patient", "HOSPITAL"])
def test_placeholders_in_headers(tmp_path: Path, name: str) -> None:
    for i in range(12):
        age = f"{20 + 3 * i:03d}Y"
        dicom(tmp_path / "ab"[i % 2] / f"{i}.dcm", f"1.2.{i + 1}", name, PatientAge=age)
    found = datasets.open_path(tmp_path)
    assert found.table["patient_id"].isna().all()
    assert any(f"{name!r} of all 12 images is a placeholder" in note for note in found.notes)
    assert any("patient of every image is unknown" in note for note in found.notes)


def test_one_real_person_in_headers(tmp_path: Path) -> None:
    for i in range(12):
        dicom(tmp_path / "ab"[i % 2] / f"{i}.dcm", f"1.2.{i + 1}", "P0042")
    assert set(datasets.open_path(tmp_path).table["patient_id"]) == {"dicom:P0042"}


def test_a_placeholder_gives_way_to_a_list_of_patients(tmp_path: Path) -> None:
    for i in range(4):
        dicom(tmp_path / "ab"[i % 2] / f"{i}.dcm", f"1.2.{i + 1}", "ANONYMOUS")
    text = "path,patient_id\n" + "".join(f"{i}.dcm,{i // 2 + 5}\n" for i in range(4))
    (tmp_path / "patients.csv").write_text(text)
    assert set(datasets.open_path(tmp_path).table["patient_id"]) == {"dicom:5", "dicom:6"}


def test_placeholders_in_a_table(tmp_path: Path) -> None:
    patients = ["ANONYMOUS"] * 3 + ["7", "8", "9"]
    found = read(tmp_path, {"label": ["x", "y"] * 3, "patient_id": patients})
    assert found.table["patient_id"].isna().tolist() == [True] * 3 + [False] * 3
    assert any("'ANONYMOUS' of 3 of 6 images is a placeholder" in note for note in found.notes)
    assert any("patient of 3 of 6 images is unknown" in note for note in found.notes)


def test_padding_makes_no_second_patient(tmp_path: Path) -> None:
    # PS3.5 Table 6.2-1: a Long String may be padded with leading and trailing spaces
    for i, name in enumerate(["P1", "  P1", "P1  ", "P2"]):
        dicom(tmp_path / "ab"[i % 2] / f"{i}.dcm", f"1.2.{i + 1}", name, ViewPosition=" PA")
    found = datasets.open_path(tmp_path).table
    assert sorted(found["patient_id"]) == ["dicom:P1"] * 3 + ["dicom:P2"]
    assert set(found["view"]) == {"PA"}
