"""The digest of a model: it changes with all that decides an answer, and with nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from hilum.inference import model_json
from hilum.inference.digest import model_digest
from hilum.types import HilumError

RECORD = {
    "format": 1,
    "classes": ["covid19", "normal"],
    "preparation": {"steps": [{"step": "resize", "side": 96}], "normalise": "unit"},
    "preparation_digest": "5b",
    "backbone": {"name": "resnet18", "origin": "random"},
    "precision": "fp32",
    "quantised": "",
    "mirror": True,
    "temperature": 1.7,
    "thresholds": {"covid19": 0.3, "normal": 0.6},
    "conformal": {},
    "judged": {"verdict": "Trust it."},
}
GRAPH = {
    "graph": "model.xml",
    "precision": "fp32",
    "abstention": {"possible_from": {"normal": 0.4}},
    "weights_digest": "ab",
    "files": {"model.xml": "1a", "model.bin": "2b", "proof.json": "3c"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    random = np.random.default_rng(0)
    for name in ("backbone", "head", "gate"):
        folder.mkdir(exist_ok=True)
        arrays = {key: random.normal(size=(3, 2)).astype(np.float32) for key in "abcdef"}
        save_file(arrays, folder / f"{name}.safetensors")
    model_json.write_record(folder, RECORD)
    return folder


def with_record(folder: Path, **more: Any) -> str:
    copy = Path(shutil.copytree(folder, folder.with_name("copy"), dirs_exist_ok=True))
    model_json.amend(copy, more)
    return model_digest(copy)


@pytest.mark.parametrize("name", ["backbone", "head", "gate"])
def test_one_weight_changes_it(folder: Path, name: str) -> None:
    before, path = model_digest(folder), folder / f"{name}.safetensors"
    arrays = load_file(path)
    arrays["c"][1, 1] = np.nextafter(arrays["c"][1, 1], np.float32(9))
    save_file(arrays, path)
    changed = model_digest(folder)
    save_file({key: array.T if key == "d" else array for key, array in arrays.items()}, path)
    turned = model_digest(folder)
    path.unlink()
    assert len({before, changed, turned, model_digest(folder)}) == 4
    assert len(before) == 64


@pytest.mark.parametrize(
    "more",
    [
        {"classes": ["normal", "covid19"]}, {"temperature": 1.71}, {"mirror": False},
        {"thresholds": {"covid19": 0.31, "normal": 0.6}}, {"conformal": {"normal": 0.4}},
        {"precision": "bf16"}, {"quantised": "7c"}, {"preparation_digest": "5c"},
        {"preparation": {"steps": [], "normalise": "unit"}}, {"backbone": {"name": "vgg16"}},
    ],
)  # fmt: skip
def test_calibration_and_classes_change_it(folder: Path, more: dict[str, Any]) -> None:
    assert with_record(folder, **more) != model_digest(folder)


def test_what_decides_no_answer_does_not(folder: Path) -> None:
    want = model_digest(folder)
    assert with_record(folder, judged={}, provenance={"seed": 1}) == want
    record = {key: value for key, value in RECORD.items() if key not in ("conformal", "quantised")}
    model_json.write_record(folder, record)  # as an earlier version left it
    (folder / "notes.safetensors").write_bytes(b"not read by a model")
    assert model_digest(folder) == want


def test_it_is_over_tensors_not_over_files(folder: Path) -> None:
    """The same tensors, their header written in another order, are the same model."""
    path = folder / "head.safetensors"
    want, data = model_digest(folder), path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    other = json.dumps({"__metadata__": {"by": "x"}, **dict(reversed(header.items()))}).encode()
    path.write_bytes(len(other).to_bytes(8, "little") + other + data[8 + size :])
    with safe_open(path, "np") as read:
        assert read.metadata() == {"by": "x"}
    assert model_digest(folder) == want


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.update(weights_digest="ac"),
        lambda part: part["files"].update({"model.bin": "2c"}),
        lambda part: part["abstention"]["possible_from"].update(normal=0.5),
    ],
)
def test_an_export_has_its_own(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    part = json.loads(json.dumps(GRAPH))
    own = with_record(folder, exported=part)
    assert own != model_digest(folder)
    part["files"]["proof.json"] = "3d"  # made on another machine
    assert with_record(folder, exported=part) == own
    change(part)
    assert with_record(folder, exported=part) != own


def test_tensors_that_cannot_be_read_are_one_sentence(folder: Path) -> None:
    (folder / "head.safetensors").write_bytes(b"x")
    with pytest.raises(HilumError, match=r"tensors of .* must be readable; got .*; restore"):
        model_digest(folder)
