"""Int8: near full precision, found again, refused in one sentence, and silent to the outside."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from torch import nn

from hilum import files, images, phantom, preprocess
from hilum.data import feature_cache
from hilum.experiment import cell_context
from hilum.inference.model import compiled
from hilum.models import backbones, quantise
from hilum.models.runtime import compiling
from hilum.models.runtime.base import Runtime, Target
from hilum.types import HilumError, MissingError, Pixels, Stack8

SIDE, SHOWN = 64, 16
NAME = "tf_efficientnet_lite0"
PIPELINE = preprocess.from_list([{"step": "resize", "side": SIDE}])


class Mean(nn.Module):
    """(image, 1, row, column) -> (image, 1)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean((2, 3))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Stack8:
    asked = phantom.Request(images=2 * SHOWN, size=96)
    table = phantom.write(asked, tmp_path_factory.mktemp("films")).table
    return np.stack([PIPELINE(images.read(path).pixels) for path in table["path"]])


@pytest.fixture(scope="module")
def full() -> Runtime:
    return compiled(backbones.build(NAME), backbones.card(NAME).normalise, PIPELINE, "fp32")


@pytest.fixture(scope="module")
def small(
    full: Runtime, films: Stack8, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Runtime, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(cache := tmp_path_factory.mktemp("cache")))
        return quantise.quantised(full, films[:SHOWN]), cache


def test_features_of_other_images_are_near(
    full: Runtime, small: tuple[Runtime, Path], films: Stack8
) -> None:
    want, got = full(films[SHOWN:]), small[0](films[SHOWN:])
    cosine = (want * got).sum(1) / np.linalg.norm(want, axis=1) / np.linalg.norm(got, axis=1)
    assert got.shape == want.shape
    assert cosine.min() > 0.95
    assert not np.array_equal(want, got)


def test_weights_lie_in_eight_bits_and_use_seven(
    full: Runtime, small: tuple[Runtime, Path]
) -> None:
    engine = small[0]
    assert engine.facts.precision == "int8"
    assert engine.network is not None
    assert full.network is not None
    parts = ov.Core().read_model(engine.network).get_ops()
    tables = [op.get_data() for op in parts if op.get_type_name() == "Constant"]
    # depthwise filters have five dimensions: (group, output, input, row, column)
    tables = [table for table in tables if table.dtype == np.int8 and table.ndim in (4, 5)]
    filters = [p for p in backbones.build(NAME).parameters() if p.ndim == 4]
    assert len(tables) == len(filters)
    wide = [table for table in tables if table.ndim == 4]  # depthwise ones keep eight bits
    assert max(int(np.abs(table.astype(int)).max()) for table in wide) <= 64
    sizes = [path.with_suffix(".bin").stat().st_size for path in (engine.network, full.network)]
    assert sizes[0] < 0.3 * sizes[1]


def test_found_again_on_the_same_images_alone(
    full: Runtime, small: tuple[Runtime, Path], films: Stack8, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was quantised again")

    monkeypatch.setenv("HILUM_CACHE", str(small[1]))
    monkeypatch.setattr(quantise, "_quantise", never)
    again = quantise.quantised(full, films[:SHOWN])
    assert np.array_equal(again(films), small[0](films))
    with pytest.raises(AssertionError, match="again"):
        quantise.quantised(full, films[1 : SHOWN + 1])


def test_features_have_a_place_of_their_own(
    full: Runtime, small: tuple[Runtime, Path], films: Stack8
) -> None:
    pixels = Pixels(films, tuple(map(str, range(len(films)))), "digest")
    backbone, engine = backbones.build(NAME), small[0]
    keys = {cell_context.plain_key(pixels, backbone, "signed", one) for one in (full, engine)}
    engine.facts, before = replace(engine.facts, quantised="another"), engine.facts
    keys.add(cell_context.plain_key(pixels, backbone, "signed", engine))
    engine.facts = before
    assert len({feature_cache.store_path(key) for key in keys}) == 3


def test_one_sentence_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantise, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"needs the package nncf; got .*hilum\[int8\]"):
        quantise.require()


def test_one_sentence_where_torch_computes(films: Stack8, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = compiling.compile_network(Mean(), (SIDE, SIDE), Target(device="cpu", engine="torch"))
    with pytest.raises(HilumError, match="that OpenVINO runs; got engine torch"):
        quantise.quantised(engine, films)
    monkeypatch.setattr(compiling, "openvino_computes", lambda target: False)
    with pytest.raises(HilumError, match="got a machine that computes with torch"):
        quantise.require()


def test_nothing_is_told_to_anyone(tmp_path: Path) -> None:
    """No identifier appears in the home folder, and what would send is not loaded."""
    code = (
        "import hilum.models, openvino, nncf, sys; print([m for m in sys.modules if 'telem' in m])"
    )
    here = {**os.environ, "HOME": str(tmp_path), "HILUM_CACHE": str(files.cache_home())}
    here = {key: value for key, value in here.items() if key not in ("CI", "NNCF_CI")}
    found = subprocess.run(
        [sys.executable, "-c", code], env=here, capture_output=True, text=True, check=True
    )
    loaded = found.stdout.strip().splitlines()[-1]
    assert "openvino_telemetry." not in loaded
    assert "openvino.tools.ovc.telemetry_stub" in loaded
    assert not (tmp_path / "intel").exists()
