"""Paths in tables as other machines, releases and spreadsheets write them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.datasets import table, table_paths
from hilum.types import HilumError, LeftOut, Manifest


def draw(home: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 7 + i), i, np.uint8)).save(path)
    return home


def read(home: Path, paths: list[str]) -> Manifest:
    lines = [f"{path}\t{'xy'[i % 2]}\tp{i}" for i, path in enumerate(paths)]
    text = "\n".join(["path\tlabel\tpatient_id", *lines]) + "\n"
    (home / "t.tsv").write_text(text, encoding="utf-8")
    return table.read_image_table(home / "t.tsv")


def found_in(home: Path, paths: list[str]) -> list[str]:
    return [Path(path).relative_to(home).as_posix() for path in read(home, paths).table["path"]]


@pytest.mark.parametrize(
    "form",
    [
        "D:\\studies\\cxr\\img\\x{}.png", "\\\\server\\share\\img\\x{}.png",
        "/mnt/data/cxr/img/x{}.png", "/elsewhere/other name/x{}.png", "x{}", "img/x{}",
        "img/X{}.PNG", "IMG/x{}.Png", "./img/x{}.png", ".\\img\\x{}.png", "'img/x{}.png'",
        "file:///data/img/x{}.png", "{}/../img/x{}.png", "https://host/img/x{}.png",
        "release-1/img/x{}.png", "img/x{}.dcm", "~/img/x{}.png", "  img/x{}.png  ",
    ],
)  # fmt: skip
def test_images_are_found_by_name_and_that_is_said(tmp_path: Path, form: str) -> None:
    draw(tmp_path, *(f"img/x{i}.png" for i in range(4)))
    paths = [form.replace("{}", str(i)) for i in range(4)]
    assert found_in(tmp_path, paths) == [f"img/x{i}.png" for i in range(4)]
    notes = read(tmp_path, paths).notes
    direct = [table_paths.first_place(path, tmp_path) for path in paths]
    said = [note for note in notes if "4 of 4 paths of the table" in note]
    assert bool(said) == (not Path(direct[0]).is_file())


def test_a_file_address_of_this_machine_is_a_path(tmp_path: Path) -> None:
    draw(tmp_path, "a b/1.png", "a b/2.png")
    paths = [(tmp_path / "a b" / f"{i}.png").as_uri() for i in (1, 2)]
    found = read(tmp_path, paths)
    assert "%20" in paths[0]
    assert len(found.table) == 2
    assert not any("paths of the table" in note for note in found.notes)


def test_accents_composed_and_decomposed_are_one_name(tmp_path: Path) -> None:
    draw(tmp_path, "img/Mu\u0308ller.png", "img/b.png")  # as macOS stores it
    assert len(read(tmp_path, ["M\u00fcller.png", "b.png"]).table) == 2


def test_a_uid_is_no_name_with_a_suffix(tmp_path: Path) -> None:
    draw(tmp_path, "img/1.2.840.1.png", "img/1.2.840.2.png", "img/b.png")
    found = read(tmp_path, ["1.2.840", "1.2.840.2", "b"])
    assert found.left_out == (LeftOut("1.2.840", table_paths.ABSENT),)
    assert len(found.table) == 2


def test_the_folders_of_a_path_decide_between_equal_names(tmp_path: Path) -> None:
    draw(tmp_path, "a/1/view.png", "a/2/view.png", "b/1/view.png")
    paths = ["/old/a/1/view.png", "/old/a/2/view.png", "/old/b/1/view.png"]
    assert found_in(tmp_path, paths) == ["a/1/view.png", "a/2/view.png", "b/1/view.png"]


def test_an_absent_image_is_never_replaced_by_another_of_its_name(tmp_path: Path) -> None:
    draw(tmp_path, "p1/s1/view.png", "p2/s1/view.png")
    found = read(tmp_path, [f"/old/p{i}/s1/view.png" for i in range(1, 6)])
    assert found.table["patient_id"].tolist() == ["table:p0", "table:p1"]
    assert found.left_out == tuple(
        LeftOut(f"/old/p{i}/s1/view.png", table_paths.ABSENT) for i in (3, 4, 5)
    )


def test_a_file_that_two_paths_may_mean_is_neithers(tmp_path: Path) -> None:
    draw(tmp_path, "x1.png", "b.png", "c.png")
    found = read(tmp_path, ["x1.png", "x1.jpg", "b.png", "c.png"])
    assert found.left_out == (LeftOut("x1.jpg", table_paths.CLAIMED),)


def test_what_is_ambiguous_is_said(tmp_path: Path) -> None:
    draw(tmp_path, "one/c.png", "two/c.png", "a.png", "b.png")
    found = read(tmp_path, ["a.png", "b.png", "c.png"])
    assert found.left_out == (LeftOut("c.png", table_paths.SEVERAL),)


def test_masks_are_no_images(tmp_path: Path) -> None:
    draw(tmp_path, *(f"{kind}/{i}.png" for kind in ("images", "masks") for i in range(2)))
    assert found_in(tmp_path, ["0.png", "1.png"]) == ["images/0.png", "images/1.png"]
    text = "path,label,mask\n0.png,x,C:\\m\\masks\\0.png\n1.png,y,gone.png\n"
    (tmp_path / "t.csv").write_text(text)
    found = table.read_image_table(tmp_path / "t.csv")
    assert found.table["mask_path"].fillna("").tolist() == [str(tmp_path / "masks/0.png"), ""]
    assert "1 lung mask is not there, such as 'gone.png'." in found.notes


@pytest.mark.parametrize("form", ["D:\\old\\{}.png", "/old/{}.png", "{}", "gone/{}.png"])
def test_paths_that_all_lead_nowhere_are_said_to(tmp_path: Path, form: str) -> None:
    draw(tmp_path, "img/other.png")
    with pytest.raises(HilumError, match="12 of 12 paths that lead nowhere") as caught:
        read(tmp_path, [form.replace("{}", f"x{i}") for i in range(12)])
    said = str(caught.value)
    assert repr(form.replace("{}", "x0")) in said
    assert f"looked for {table_paths.first_place(form.replace('{}', 'x0'), tmp_path)}, then" in said
    assert "--label-column" not in said


def test_one_class_that_is_left_says_what_was_not_found(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "c.png")
    with pytest.raises(HilumError, match=r"only 'x' \(left out: 2 with no such image\)"):
        read(tmp_path, ["a.png", "b.png", "c.png", "d.png"])


def test_rsnas_identifier_is_patient_and_image(tmp_path: Path) -> None:
    draw(tmp_path, *(f"stage/{i:04x}-9eaa.png" for i in range(6)))
    lines = [f"{i:04x}-9eaa,{box},{i % 2}" for i in range(6) for box in range(1 + i % 2)]
    (tmp_path / "t.csv").write_text("\n".join(["patientId,x,Target", *lines]) + "\n")
    found = table.read_image_table(
        tmp_path / "t.csv", table.columns.Columns(path="patientId", label="Target")
    )
    assert found.table["label"].value_counts().to_dict() == {"0": 3, "1": 3}
    assert found.table["patient_id"].nunique() == 6


@pytest.mark.parametrize(
    ("column", "words", "what"),
    [
        ("patient_id", ("p1", "p2"), "patient"),
        ("split", ("train", "test"), "part of the split"),
        ("fold", ("1", "2"), "fold"),
    ],
)
def test_an_image_that_is_listed_twice_must_be_the_same(
    tmp_path: Path, column: str, words: tuple[str, str], what: str
) -> None:
    """Else an image of the test would be trained on, or a patient be lost, without a word."""
    draw(tmp_path, "a.png", "b.png")
    head, first, second = f"path,label,{column}", f"a.png,x,{words[0]}", f"a.png,x,{words[1]}"
    for row, refused in ((first, False), ("a.png,x,", False), (second, True)):
        text = "\n".join([head, first, f"b.png,y,{words[0]}", row])
        (tmp_path / "t.csv").write_text(text + "\n")
        if refused:
            with pytest.raises(
                HilumError, match=f"one {what}; got 1 with several, such as .*a.png"
            ):
                table.read_image_table(tmp_path / "t.csv")
        else:
            assert len(table.read_image_table(tmp_path / "t.csv").table) == 2


def test_mimic_names_images_by_dicom_id_and_validates(tmp_path: Path) -> None:
    draw(tmp_path, *(f"files/p10/p1000000{i}/s5{i}/x{i}.jpg" for i in range(3)))
    rows = [f"1000000{i},5{i},x{i},{'ab'[i % 2]}," for i in range(3)]
    parts = ("train", "validate", "test")
    lines = [
        "subject_id,study_id,dicom_id,label,split",
        *map("".join, zip(rows, parts, strict=True)),
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = table.read_image_table(tmp_path / "t.csv").table
    assert list(found["official_part"]) == ["train", "validation", "test"]
    assert found["patient_id"].nunique() == 3
