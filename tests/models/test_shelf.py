"""A saved network's conversion is found unbuilt, and only while nothing about it has changed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hilum import files
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime import compile_cache, compiling
from hilum.models.runtime.base import Target
from hilum.models.runtime.compile_cache import SavedNetwork

SIDE = 24
SHAPE = (SIDE, SIDE)
STACK = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
CPU = Target("fp32", "cpu", "openvino")


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        layers = (
            InputNormalisation("unit"),
            nn.Conv2d(3, 7, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        return nn.Sequential(*layers).eval()


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[SavedNetwork, list[str]]:
    """A network, and one entry for each time that it was built."""
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "cache"))
    built: list[str] = []

    def build() -> nn.Module:
        built.append("again")
        return network()

    return SavedNetwork(("digest of a file", {"name": "small"}), build), built


def test_it_is_built_once_and_computes_the_same_bits(saved: tuple[SavedNetwork, list[str]]) -> None:
    what, built = saved
    found = [compiling.compile_saved(what, SHAPE, CPU)(STACK) for _ in range(3)]
    assert len(built) == 1
    want = compiling.compile_network(network(), SHAPE, CPU)(STACK)
    assert all(np.array_equal(one, want) for one in found)


def test_another_file_shape_or_engine_builds_it_again(
    saved: tuple[SavedNetwork, list[str]],
) -> None:
    what, built = saved
    compiling.compile_saved(what, SHAPE, CPU)
    compiling.compile_saved(replace(what, decides=("another digest",)), SHAPE, CPU)
    compiling.compile_saved(what, (SIDE, SIDE + 1), CPU)
    compiling.compile_saved(what, SHAPE, replace(CPU, engine="torch"))
    assert len(built) == 4


def test_changed_sources_and_versions_build_it_again(
    saved: tuple[SavedNetwork, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    what, built = saved
    compiling.compile_saved(what, SHAPE, CPU)
    (note,) = (files.cache_home() / "compiled").glob("*.json")
    told = json.loads(note.read_text())
    names = {Path(path).name for path in told["sources"]}
    assert {"conv.py", "normalise.py"} <= names
    told["sources"][next(iter(told["sources"]))] = "0" * 64
    note.write_text(json.dumps(told))
    compiling.compile_saved(what, SHAPE, CPU)
    assert len(built) == 2
    assert compile_cache.find_conversion(what, SHAPE) is not None  # noted anew
    monkeypatch.setattr(compile_cache, "version", lambda name: "another")
    assert compile_cache.find_conversion(what, SHAPE) is None


def test_a_damaged_note_costs_time_only(saved: tuple[SavedNetwork, list[str]]) -> None:
    what, built = saved
    want = compiling.compile_saved(what, SHAPE, CPU)(STACK)
    (note,) = (files.cache_home() / "compiled").glob("*.json")
    for damage in ("", "{", "[]", '{"key": 3, "sources": {}}', '{"sources": 1}'):
        note.write_text(damage)
        assert compile_cache.find_conversion(what, SHAPE) is None
    assert np.array_equal(compiling.compile_saved(what, SHAPE, CPU)(STACK), want)
    assert len(built) == 2


def test_a_conversion_that_was_deleted_is_made_again(saved: tuple[SavedNetwork, list[str]]) -> None:
    what, built = saved
    compiling.compile_saved(what, SHAPE, CPU)
    found = compile_cache.find_conversion(what, SHAPE)
    assert found is not None
    found.unlink()
    assert compile_cache.find_conversion(what, SHAPE) is None
    shutil.rmtree(found.parent)
    compiling.compile_saved(what, SHAPE, CPU)
    assert len(built) == 2
