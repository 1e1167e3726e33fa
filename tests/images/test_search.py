"""Which files below a folder are found, and how the others are counted."""

from pathlib import Path

import numpy as np
import pytest
from dicom_maker import dicom_bytes, make_dicom

from hilum import images
from hilum.types import HilumError, LeftOut


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    slice_ = dicom_bytes(make_dicom(np.zeros((4, 4), np.uint16)))
    for name in (
        "b/2.PNG",
        "b/1.jpg",
        "a/x.tiff",
        "a/y.jpeg",
        "z.tif",
        "z.dcm",
        "c/d/e.Dicom",
        "d.JFIF",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened here")
    (tmp_path / "a" / "IM000001").write_bytes(slice_)
    (tmp_path / "a" / "1.2.840.113619.2").write_bytes(slice_)
    (tmp_path / "a" / "README").write_text("no image")
    (tmp_path / "a" / "empty").write_bytes(b"")
    (tmp_path / "DICOMDIR").write_bytes(slice_)
    for number in range(3):
        (tmp_path / "b" / f"{number}.txt").write_text("note")
    (tmp_path / "labels.csv").write_text("a,b")
    for hidden in (".hidden.png", ".git/1.png", "__MACOSX/b/._1.jpg", "__MACOSX/1.png"):
        path = tmp_path / hidden
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(slice_)
    return tmp_path


def test_found_and_left_out(tree: Path) -> None:
    found, left_out = images.list_images(tree)
    assert [str(path.relative_to(tree)) for path in found] == [
        "a/1.2.840.113619.2", "a/IM000001", "a/x.tiff", "a/y.jpeg", "b/1.jpg", "b/2.PNG",
        "c/d/e.Dicom", "d.JFIF", "z.dcm", "z.tif",
    ]  # fmt: skip
    assert left_out == [
        LeftOut("2 files without suffix", "without the DICOM magic", 2),
        LeftOut("1 file ending in .csv", "not PNG, JPEG, TIFF or DICOM"),
        LeftOut("3 files ending in .txt", "not PNG, JPEG, TIFF or DICOM", 3),
        LeftOut("1 file named DICOMDIR", "a table of contents, not an image"),
    ]


def test_every_visible_file_is_accounted_for(tree: Path) -> None:
    found, left_out = images.list_images(tree)
    counted = sum(int(thing.what.split()[0]) for thing in left_out)
    visible = [
        path
        for path in tree.rglob("*")
        if path.is_file()
        and not any(
            part.startswith(".") or part == "__MACOSX" for part in path.relative_to(tree).parts
        )
    ]
    assert len(found) + counted == len(visible)


def test_links_are_followed_once(tree: Path) -> None:
    alone, _ = images.list_images(tree)
    (tree / "b" / "up").symlink_to(tree)
    (tree / "b" / "again").symlink_to(tree / "c")
    found, _ = images.list_images(tree)
    names = [path.name for path in found]
    assert sorted(names) == sorted(path.name for path in alone)
    outside = tree.parent / f"{tree.name}-outside"
    outside.mkdir()
    (outside / "linked.png").write_bytes(b"")
    (tree / "link").symlink_to(outside)
    assert tree / "link" / "linked.png" in images.list_images(tree)[0]


def test_a_dangling_link_is_counted(tmp_path: Path) -> None:
    (tmp_path / "IM1").symlink_to(tmp_path / "nowhere")
    assert images.list_images(tmp_path) == (
        [],
        [LeftOut("1 file without suffix", "cannot be opened: No such file or directory")],
    )


def test_a_hidden_root_is_searched(tmp_path: Path) -> None:
    root = tmp_path / ".cache" / "set"
    root.mkdir(parents=True)
    (root / "1.png").write_bytes(b"")
    assert images.list_images(root)[0] == [root / "1.png"]


def test_only_folders_are_searched(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path / "file.png"):
        (tmp_path / "file.png").write_bytes(b"x")
        with pytest.raises(HilumError, match="expected a folder of images"):
            images.list_images(path)


def test_suffixes_are_lower_case() -> None:
    assert {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm"} <= images.SUFFIXES
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in images.SUFFIXES)


def test_real_folders(shared: Path) -> None:
    found, left_out = images.list_images(shared / "dicom")
    assert (len(found), left_out) == (5, [])
    found, left_out = images.list_images(shared / "covid-chestxray-dataset")
    assert len(found) == 605
    assert sum(int(thing.what.split()[0]) for thing in left_out) >= 1
