"""Seeded mutants of archives: each is unpacked, or refused in one sentence."""

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from damage import flipped, read_or_refused
from hilum.datasets import archive
from hilum.datasets.spreadsheet import read_sheet
from hilum.models import checkpoints, keras_files
from hilum.types import HilumError
from published_layouts import workbook

FEW, MANY = 60, 2000  # mutants of each kind: in `make test`, in `make test-hard`
MEMBERS = {"data/a.csv": b"path,label\n" * 40, "data/films/b.bin": bytes(range(256)) * 3}
counts = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.hard)])


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file.getvalue()


def tarred(packing: str, members: dict[str, bytes] = MEMBERS) -> bytes:
    file = io.BytesIO()
    mode: Any = f"w:{packing}"
    with tarfile.open(fileobj=file, mode=mode) as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return file.getvalue()


PACKED: dict[str, Callable[[], bytes]] = {
    "a.zip": lambda: zipped(MEMBERS),
    "stored.zip": lambda: zipped(MEMBERS, zipfile.ZIP_STORED),
    "bzip2.zip": lambda: zipped(MEMBERS, zipfile.ZIP_BZIP2),
    "lzma.zip": lambda: zipped(MEMBERS, zipfile.ZIP_LZMA),
    "a.tar": lambda: tarred(""),
    "a.tar.gz": lambda: tarred("gz"),
    "a.tar.bz2": lambda: tarred("bz2"),
    "a.tar.xz": lambda: tarred("xz"),
}


@pytest.mark.parametrize("name", PACKED)
@counts
def test_archives_of_datasets(tmp_path: Path, name: str, count: int) -> None:
    whole, refused = PACKED[name](), 0
    file, out = tmp_path / name, tmp_path / "out"
    file.write_bytes(whole)
    assert archive.extract(file, out) == len(MEMBERS)
    for mutant in flipped(whole, count // 4):
        shutil.rmtree(out, ignore_errors=True)
        file.write_bytes(mutant)
        refused += read_or_refused(archive.extract, file, out)
        assert {path.name for path in tmp_path.iterdir()} <= {name, "out"}
    assert refused > 0  # what lies behind the end of a tar is of no account


@pytest.mark.parametrize("kind", ["state", "module"])
@counts
def test_weights_in_a_zip(tmp_path: Path, kind: str, count: int) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    torch.save(network if kind == "module" else network.state_dict(), tmp_path / "a.pt")
    whole, refused = (tmp_path / "a.pt").read_bytes(), 0
    assert len(checkpoints.read_torch(tmp_path / "a.pt")) == len(network.state_dict())
    for mutant in flipped(whole, count):
        (tmp_path / "a.pt").write_bytes(mutant)
        refused += read_or_refused(checkpoints.read_torch, tmp_path / "a.pt")
    assert refused > count / 4


@pytest.mark.parametrize("shared", [True, False])
@counts
def test_workbooks(tmp_path: Path, shared: bool, count: int) -> None:
    file, refused = tmp_path / "a.xlsx", 0
    workbook(file, (("name", "age"), ("x", "5")), shared)
    whole = file.read_bytes()
    assert read_sheet(file).to_dict("list") == {"name": ["x"], "age": ["5"]}
    for mutant in flipped(whole, count):
        file.write_bytes(mutant)
        refused += read_or_refused(read_sheet, file)
    assert refused > count / 4


def test_a_workbook_in_a_zip_of_the_future(tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    workbook(file, (("name",), ("x",)))
    whole = file.read_bytes()
    at = whole.index(b"PK\1\2") + 6  # version needed, APPNOTE.TXT 4.3.12
    file.write_bytes(whole[:at] + b"\x7c" + whole[at + 1 :])
    assert read_or_refused(read_sheet, file)


def tensorflow_js(content: bytes) -> bytes:
    entry = {"name": "conv1/kernel", "shape": [len(content) // 4], "dtype": "float32"}
    described = {"weightsManifest": [{"paths": ["a.bin"], "weights": [entry]}]}
    return tarred("gz", {"m/model.json": json.dumps(described).encode(), "m/a.bin": content})


@counts
def test_tensorflow_js_in_an_archive(tmp_path: Path, count: int) -> None:
    whole, refused = tensorflow_js(np.random.default_rng(0).bytes(4000)), 0
    file = tmp_path / "a.tgz"
    file.write_bytes(whole)
    assert keras_files.read_keras(file).layers["conv1"]["kernel"].shape == (1000,)
    for mutant in flipped(whole, count):
        file.write_bytes(mutant)
        refused += read_or_refused(keras_files.read_keras, file)
    assert refused > count / 4


def test_tensorflow_js_that_unpacks_a_thousandfold(tmp_path: Path) -> None:
    file = tmp_path / "a.tgz"
    file.write_bytes(tensorflow_js(bytes(20 << 20)))
    with pytest.raises(HilumError, match=r"100 times what it weighs; got more at 'm/a\.bin'"):
        keras_files.read_keras(file)
