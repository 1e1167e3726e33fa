"""The scan's counts against counts by hand, and against what is known of the real sets."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilum import datasets
from hilum.data import manifest
from hilum.data.scan import ValueSpread, scan
from hilum.types import LeftOut, Manifest


@pytest.fixture
def small(tmp_path: Path) -> Manifest:
    rows = [
        {"label": "a", "source": "X", "patient_id": 1, "age": 60, "sex": "F", "view": "PA"},
        {"label": "a", "source": "X", "patient_id": 1, "age": 62, "sex": "F", "view": "AP"},
        {"label": "b", "source": "Y", "patient_id": 1, "age": 4, "official_part": "train"},
        {"label": "b", "source": "X", "patient_id": 2, "age": 6, "official_part": "test"},
        {"label": "b", "patient_id": 2, "official_part": "train", "modality": "CT"},
        {"label": "b", "licence": "CC0"},
    ]
    for i, row in enumerate(rows):
        row["path"] = f"{i}.png"
        Image.fromarray(np.zeros((10, 20 + (i > 2)), np.uint8)).save(tmp_path / f"{i}.png")
    left_out = [LeftOut("x.txt", "no image"), LeftOut("y.txt", "no image")]
    return manifest.assemble_manifest(rows, "d", left_out, ["a note"], tmp_path)


def test_counts_by_hand(small: Manifest) -> None:
    found = scan(small)
    assert found.images == 6
    assert found.classes == {"b": 4, "a": 2}
    assert found.sources == {"X": 3, "unknown": 2, "Y": 1}
    assert found.by_source == {"a": {"X": 2}, "b": {"unknown": 2, "Y": 1, "X": 1}}
    assert found.views == {"unknown": 4, "PA": 1, "AP": 1}
    assert found.sexes == {"unknown": 4, "F": 2}
    assert found.modalities == {"unknown": 5, "CT": 1}
    assert found.licences == {"unknown": 5, "CC0": 1}
    assert found.parts == {"unknown": 3, "train": 2, "test": 1}
    assert (found.patients, found.images_without_patient) == (2, 1)
    assert found.patients_in_two_classes == 1  # the first, in a and b
    assert found.patients_in_two_parts == 1  # the second, in train and test
    assert found.images_per_patient == ValueSpread(2, 2.0, 2.25, 2.5, 2.75, 3.0)
    assert found.ages["all"] == ValueSpread(4, 4.0, 5.5, 33.0, 60.5, 62.0)
    assert found.ages["b"] == ValueSpread(2, 4.0, 4.5, 5.0, 5.5, 6.0)
    assert found.sizes["width"] == ValueSpread(6, 20.0, 20.0, 20.5, 21.0, 21.0)
    assert found.sizes["bits"].median == 8.0
    assert found.shapes_by_class == {"a": {"20 x 10": 2}, "b": {"21 x 10": 3, "20 x 10": 1}}
    assert found.formats == {"PNG": 6}
    assert found.left_out == (LeftOut("x.txt, y.txt", "no image", 2),)
    assert found.notes == ("a note",)


def test_json_is_plain(small: Manifest) -> None:
    plain = scan(small).as_json()
    assert json.loads(json.dumps(plain)) == json.loads(json.dumps(plain, allow_nan=False))
    assert plain["ages"]["all"]["median"] == 33.0
    assert plain["left_out"][0]["reason"] == "no image"


def test_facts_that_are_known_are_not_read_again(small: Manifest, tmp_path: Path) -> None:
    for path in tmp_path.glob("*.png"):
        path.unlink()
    ids = small.table["sample_id"]
    facts = pd.DataFrame({"width": 512, "height": range(6), "format": "JPEG"}, index=ids)
    found = scan(small, facts)
    assert found.sizes["height"].median == 2.5
    assert found.sizes["bits"] == ValueSpread(0)
    assert found.formats == {"JPEG": 6}


def test_headers_are_drawn_evenly_and_broken_ones_listed(small: Manifest, tmp_path: Path) -> None:
    (tmp_path / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    seen: list[tuple[int, int]] = []
    found = scan(small, most=2, progress=lambda *n: seen.append(n))
    assert found.headers_read == 1
    assert found.left_out[-1].what == "d/5.png"
    assert str(tmp_path) not in found.left_out[-1].reason
    assert seen == [(1, 2), (2, 2)]


def test_nothing_known_is_no_error(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "1.png")
    bare = manifest.assemble_manifest([{"path": "1.png"}], "d", root=tmp_path)
    found = scan(bare)
    assert found.classes == {"unknown": 1}
    assert found.ages == {"all": ValueSpread(0), "unknown": ValueSpread(0)}
    assert found.images_per_patient == ValueSpread(0)
    (tmp_path / "1.png").unlink()
    gone = scan(bare)
    assert (gone.headers_read, gone.formats) == (0, {})
    assert len(gone.left_out) == 1


def test_real_nih_table(shared: Path) -> None:
    found = scan(datasets.read("nih", shared), most=20)
    listed = pd.read_csv(shared / "nih-chestxray14" / "Data_Entry_2017.csv")
    assert found.images == len(listed) == 693
    assert found.classes == {"normal": 348, "pneumonia": 345}
    assert found.patients == listed["Patient ID"].nunique()
    per_patient = Counter(listed["Patient ID"])
    assert found.images_per_patient.most == max(per_patient.values())
    assert found.headers_read == 20
