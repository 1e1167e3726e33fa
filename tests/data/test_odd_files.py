"""Whole sets: names that are no UTF-8, objects that are no films, 16 bits without a white."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from hilum import datasets, images
from hilum.data import prepared_dataset, scan
from hilum.data.prepared_dataset import ThumbnailOnly
from hilum.datasets import layout
from hilum.datasets.tally import Tally
from hilum.types import HilumError, Manifest

STORAGE = "1.2.840.10008.5.1.4.1.1."
LATIN = b"th\xe9rapie"
only_bytes = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems do not keep names as bytes"
)


def picture(path: Path, seed: int, bits: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 2**bits, (40, 40))
    Image.fromarray(noise.astype(np.uint8 if bits == 8 else np.uint16)).save(path)
    return path


def classes(root: Path, bits: int = 8) -> Path:
    for at, name in enumerate(("covid", "normal")):
        for number in range(3):
            picture(root / name / f"{number}.png", 10 * at + number, bits)
    return root


def dicom(path: Path, patient: str, **tags: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = STORAGE + "1.1"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.PatientID, data.Modality = patient, "DX"
    data.Rows = data.Columns = 6
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = np.random.default_rng(len(path.name)).bytes(72)
    data["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        setattr(data, keyword, value)
    data.save_as(path, enforce_file_format=True)


def films(root: Path) -> Path:
    for name in ("covid", "normal"):
        for number in range(3):
            dicom(root / name / f"{number}.dcm", f"{name}{number}")
    return root


def reasons(found: Manifest) -> list[str]:
    return [item.reason for item in found.left_out]


@only_bytes
@pytest.mark.parametrize("where", ["file", "folder", "class folder"])
def test_a_name_that_is_no_text_is_left_out(where: str, tmp_path: Path) -> None:
    root = classes(tmp_path / "set")
    odd = {"file": root / "covid", "folder": root / "covid" / os.fsdecode(LATIN),
           "class folder": root / os.fsdecode(LATIN)}[where]  # fmt: skip
    picture(odd / (os.fsdecode(LATIN) + ".png" if where == "file" else "1.png"), 77)
    found = datasets.open_path(root)
    assert len(found.table) == 6
    assert reasons(found).count(images.NO_TEXT) == 1
    named = next(item.what for item in found.left_out if item.reason == images.NO_TEXT)
    assert r"th\xe9rapie" in named
    for item in found.left_out:
        item.what.encode("utf-8")
    assert scan.scan(found).images == 6


@only_bytes
def test_a_folder_that_is_no_text_is_refused_as_a_whole(tmp_path: Path) -> None:
    root = classes(tmp_path / os.fsdecode(LATIN))
    with pytest.raises(HilumError, match=r"name in UTF-8, got .*th.xe9rapie; rename it"):
        datasets.open_path(root)


@only_bytes
def test_readers_of_published_sets_count_such_names(tmp_path: Path) -> None:
    picture(tmp_path / "images" / (os.fsdecode(LATIN) + ".png"), 1)
    picture(tmp_path / "images" / "2.png", 2)
    tally = Tally()
    found = layout.walk(tmp_path, tally)
    assert found.images == ("images/2.png",)
    assert [(item.reason, item.count) for item in tally.left_out()] == [(images.NO_TEXT, 1)]
    assert r"th\xe9rapie" in tally.left_out()[0].what


def test_what_is_no_picture_is_left_out_with_its_class(tmp_path: Path) -> None:
    root = films(tmp_path / "set")
    dicom(root / "covid" / "mask.dcm", "covid0", SOPClassUID=STORAGE + "66.4", Modality="SEG")
    dicom(root / "normal" / "dose.dcm", "covid0", SOPClassUID=STORAGE + "481.2")
    dicom(root / "normal" / "state.dcm", "covid0", SOPClassUID=STORAGE + "11.1", Modality="PR")
    found = datasets.open_path(root)
    assert dict(found.table["label"].value_counts()) == {"covid19": 3, "normal": 3}
    told = " ".join(reasons(found))
    for name in ("Segmentation", "RT Dose", "Grayscale Softcopy Presentation State"):
        assert f"none ({name})" in told


def test_scouts_and_twins_are_left_out_beside_better_images(tmp_path: Path) -> None:
    root = films(tmp_path / "set")
    dicom(root / "covid" / "scout.dcm", "else", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    raw = {"PresentationIntentType": "FOR PROCESSING"}
    dicom(root / "covid" / "twin.dcm", "covid0", **raw)
    dicom(root / "covid" / "alone.dcm", "somebody", **raw)
    dicom(root / "normal" / "other.dcm", "covid0", **raw)  # the patient's film is in another class
    found = datasets.open_path(root)
    gone = {Path(item.what).name: item.reason for item in found.left_out}
    assert set(gone) == {"scout.dcm", "twin.dcm"}
    assert "LOCALIZER" in gone["scout.dcm"]
    assert "FOR PROCESSING" in gone["twin.dcm"]
    assert len(found.table) == 8
    assert any("FOR PROCESSING" in note and "2 of 8 images" in note for note in found.notes)


def test_a_class_of_scouts_stays_and_is_noted(tmp_path: Path) -> None:
    root = films(tmp_path / "set")
    for number in range(2):
        dicom(root / "scout" / f"{number}.dcm", f"s{number}", ImageType=["A", "B", "LOCALIZER"])
    found = datasets.open_path(root)
    assert set(found.table["label"]) == {"covid19", "normal", "scout"}
    assert any(note.startswith("Localizers") and "2 of 8 images" in note for note in found.notes)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"SOPClassUID": STORAGE + "7"}, "Secondary captures"),
        ({"SOPClassUID": STORAGE + "6.1", "Modality": "US"}, "(Ultrasound Image)"),
        ({"SOPClassUID": STORAGE + "128", "Modality": "PT"}, "(Positron Emission Tomography"),
    ],
)  # fmt: skip
def test_other_pictures_count_and_are_noted(
    tags: dict[str, Any], words: str, tmp_path: Path
) -> None:
    root = films(tmp_path / "set")
    dicom(root / "normal" / "odd.dcm", "p", **tags)
    found = datasets.open_path(root)
    assert len(found.table) == 7
    notes = [note for note in found.notes if words in note]
    assert len(notes) == 1
    assert "1 of 7 images, such as odd.dcm" in notes[0]
    assert notes[0] in scan.scan(found).notes


def test_common_films_have_no_such_note(tmp_path: Path) -> None:
    notes = datasets.open_path(films(tmp_path / "set")).notes
    assert not [note for note in notes if "images, such as" in note]


def test_a_table_leaves_out_the_same(tmp_path: Path) -> None:
    root = films(tmp_path / "set")
    dicom(root / "covid" / "scout.dcm", "covid0", ImageType=["A", "B", "LOCALIZER"])
    rows = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.dcm"))]
    (root / "list.csv").write_text("\n".join(["file,label", *rows]))
    found = datasets.open_path(root / "list.csv")
    assert len(found.table) == 6
    assert any("LOCALIZER" in reason for reason in reasons(found))


def test_guessed_white_is_said_in_scan_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "cache"))
    root = classes(tmp_path / "set", bits=12)
    found = datasets.open_path(root)
    words = "6 of 6 files have more than 8 bits"
    assert any(words in note for note in scan.scan(found).notes)
    taken = prepared_dataset.prepare_dataset(found, ThumbnailOnly())
    assert any(words in note for note in taken.manifest.notes)
    again = prepared_dataset.prepare_dataset(taken.manifest, ThumbnailOnly())
    assert again.decoded == 0
    assert again.manifest.notes == taken.manifest.notes
    plain = prepared_dataset.prepare_dataset(
        datasets.open_path(classes(tmp_path / "plain")), ThumbnailOnly()
    )
    assert not any("8 bits" in note for note in plain.manifest.notes)


@pytest.mark.parametrize(
    ("column", "words"),
    [("view", ["PA erect", "XTABLE LATERAL", "AP AXIAL", "frontal"]),
     ("Frontal/Lateral", ["Frontal", "Lateral", "lateral", "frontal"])],
)  # fmt: skip
def test_views_of_a_table(column: str, words: list[str], tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{at}.png", at) for at in range(4)]
    rows = [f"{path.name},{'ab'[at % 2]},{words[at]}" for at, path in enumerate(paths)]
    (tmp_path / "list.csv").write_text("\n".join([f"file,label,{column}", *rows]))
    expected = {"view": ["PA", "lateral", "AP", "frontal"],
                "Frontal/Lateral": ["Frontal", "lateral", "lateral", "frontal"]}  # fmt: skip
    assert datasets.open_path(tmp_path / "list.csv").table["view"].tolist() == expected[column]


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_pipes_among_films_are_left_out_and_not_waited_for(tmp_path: Path) -> None:
    """One without a suffix would be opened for its magic, one with it for its hash."""
    for number in range(4):
        picture(tmp_path / "ab"[number % 2] / f"{number}.png", number)
    for name in ("pipe", "pipe.png"):
        os.mkfifo(tmp_path / "a" / name)
    manifest = datasets.open_path(tmp_path)
    assert [(row.reason, row.names) for row in manifest.left_out] == [
        ("a device, pipe or socket", (str(tmp_path / "a" / "pipe"),))
    ]
    hashed = prepared_dataset.hashed(manifest)
    assert len(hashed.table) == 4
    said = {Path(row.what).name: row.reason for row in hashed.left_out}
    assert "a device, pipe or socket" in said["pipe.png"]


def test_what_hilum_wrote_into_the_folder_of_films_is_no_film(tmp_path: Path) -> None:
    """A second `train . --out out` would learn the pictures of the first report as a class."""
    for number in range(4):
        picture(tmp_path / "ab"[number % 2] / f"{number}.png", number)
    written = {
        "out": ("results.json", '{"recipe": "own"}'),
        "killed": ("work/basis.parquet", ""),
        "maps": ("heatmaps.csv", "path,label,class,probability\n"),
    }
    for folder, (name, content) in written.items():
        picture(tmp_path / folder / "figures" / "blacked.png", 9)
        (tmp_path / folder / name).parent.mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(content)
    (tmp_path / "preds.csv").write_text("path,label,p_a,p_b\na/0.png,b,0.1,0.9\n")
    manifest = datasets.open_path(tmp_path)
    assert sorted(manifest.table["label"]) == ["a", "a", "b", "b"]
    said = {Path(row.what).name for row in manifest.left_out if "that hilum wrote" in row.reason}
    assert said == set(written)
    (named,) = images.list_images(tmp_path / "out")[0]  # who names the folder means its pictures
    assert named.name == "blacked.png"
    (tmp_path / "out" / "results.json").write_text('{"of": "another program"}')
    assert len(images.list_images(tmp_path)[0]) == 5
