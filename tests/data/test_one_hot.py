"""Tables with one column a class: read where they say one thing, refused where they do not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum import datasets
from hilum.datasets import Columns, table
from hilum.types import HilumError, Manifest


def write(home: Path, text: str) -> Path:
    for i in range(6):
        Image.fromarray(np.full((6, 7), i, np.uint8)).save(home / f"f{i}.png")
    (home / "t.csv").write_text(text)
    return home / "t.csv"


def labels(found: Manifest) -> list[str]:
    return [str(label) for label in found.table["label"]]


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("yes", "no"), ("x", "")]
)
@pytest.mark.parametrize("key", ["id", "image", "StudyInstanceUID,path"])
def test_one_mark_a_row_is_a_label(tmp_path: Path, yes: str, no: str, key: str) -> None:
    head = f"{key},Negative for Pneumonia,Typical Appearance,Atypical Appearance,patient_id\n"
    before = "1.2.3," * key.count(",")
    marks = [",".join(yes if i % 3 == k else no for k in range(3)) for i in range(6)]
    rows = [f"{before}f{i},{marked},{i}" for i, marked in enumerate(marks)]
    found = datasets.open_path(write(tmp_path, head + "\n".join(rows) + "\n"))
    assert labels(found) == [
        "negative_for_pneumonia", "typical_appearance", "atypical_appearance"
    ] * 2  # fmt: skip
    assert any("Classes are the columns 'Negative for Pneumonia'" in note for note in found.notes)
    assert found.table["patient_id"].nunique() == 6


def test_the_folder_of_such_a_table_is_enough(tmp_path: Path) -> None:
    write(tmp_path, "image,MEL,NV\nf0,1.0,0.0\nf1,0.0,1.0\n")
    assert labels(datasets.open_path(tmp_path)) == ["mel", "nv"]


def test_a_row_without_values_has_no_label(tmp_path: Path) -> None:
    found = table.read_image_table(write(tmp_path, "image,A,B\nf0,1,0\nf1,0,1\nf2,NA,\n"))
    assert [(item.what, item.reason) for item in found.left_out] == [("f2", "no label")]


@pytest.mark.parametrize(
    ("row", "got"), [("f2,1,1,0", "'A', 'B' together in line 4"), ("f2,0,0,0", "none of them in")]
)
def test_several_marks_or_none_are_refused_with_the_choice(
    tmp_path: Path, row: str, got: str
) -> None:
    file = write(tmp_path, f"ID,A,B,C\nf0,1,0,0\nf1,0,0,1\n{row}\n")
    for path in (file, tmp_path):
        with pytest.raises(HilumError, match="exactly one of them marked in each row") as caught:
            datasets.open_path(path)
        assert got in str(caught.value)
        assert "name one of 'A', 'B', 'C' with --label-column" in str(caught.value)
    one = table.read_image_table(file, Columns(label="A"))
    assert set(labels(one)) == {"0", "1"}


def test_class_folders_win_over_a_table_of_marks(tmp_path: Path) -> None:
    write(tmp_path, "id,female,male\nf0,1,0\nf1,0,1\n")
    for i, name in enumerate(("sick", "well")):
        (tmp_path / name).mkdir()
        (tmp_path / f"f{i}.png").rename(tmp_path / name / f"f{i}.png")
    found = datasets.open_path(tmp_path)
    assert set(labels(found)) == {"sick", "well"}


def test_a_column_of_labels_wins(tmp_path: Path) -> None:
    found = table.read_image_table(write(tmp_path, "image,label,a,b\nf0,x,1,1\nf1,y,0,0\n"))
    assert labels(found) == ["x", "y"]


def test_one_column_of_marks_is_no_table_of_classes(tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="must have a column for the label"):
        table.read_image_table(write(tmp_path, "image,portable\nf0,1\nf1,0\n"))


@pytest.mark.parametrize("mark", ["-1", "-1.0", "uncertain"])
def test_an_uncertain_mark_is_neither_class(tmp_path: Path, mark: str) -> None:
    rows = f"image,A,B\nf0,1,0\nf1,0,1\nf2,{mark},0\nf3,1,{mark}\n"
    found = table.read_image_table(write(tmp_path, rows))
    assert labels(found) == ["a", "b"]
    assert [item.what for item in found.left_out] == ["f2", "f3"]
    assert "Rows with an uncertain mark (-1) have no label: 2." in found.notes
