"""Seeded mutants of what hilum reads besides images: each is read, or refused in one sentence."""

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from damage import flipped, read_or_refused
from hilum import datasets, recipes
from hilum.data import manifest
from hilum.experiment import compare
from hilum.inference import model_folder, model_json, new_source, ood, training_record
from hilum.inference.training_record import HASH, Films, make_record
from hilum.models import keras_files
from hilum.types import HilumError

GOLDEN = Path(__file__).parent / "golden"
VALUES: list[Any] = [None, [], {}, "", "x", -1, 0, 1e308, True, [[]], {"a": []}, float("nan")]
FEW, MANY = 60, 2000  # mutants of each kind: in `make test`, in `make test-hard`
DEEP = 5000  # brackets in brackets

counts = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.hard)])


def mutants(tree: Any, count: int, seed: int = 0) -> Iterator[Any]:
    """`count` copies of a tree of JSON, in each a value replaced or removed."""
    chance = random.Random(seed)
    for _ in range(count):
        changed = copy.deepcopy(tree)
        places = list(_places(changed))
        holder, key = chance.choice(places)
        if chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(chance.choice(VALUES))
        yield changed


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(inside):
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder of an earlier version, which has no digests that would find the damage."""
    return Path(shutil.copytree(GOLDEN / "model", tmp_path / "model"))


@counts
def test_model_records(folder: Path, count: int) -> None:
    record = json.loads((folder / "model.json").read_text())
    refused = 0
    for mutant in mutants(record, count):
        (folder / "model.json").write_text(json.dumps(mutant))
        refused += read_or_refused(model_folder._parts, folder)
    assert count / 3 < refused < count


@counts
def test_lists_of_seen_files(folder: Path, count: int) -> None:
    whole, refused = (folder / "seen.csv").read_bytes(), 0
    for mutant in flipped(whole, count):
        (folder / "seen.csv").write_bytes(mutant)
        refused += read_or_refused(model_folder._parts, folder)
    assert refused > count / 2


@pytest.fixture
def known(folder: Path) -> Path:
    """The same folder with what it was built on and what a new source is recognised by."""
    random = np.random.default_rng(0)
    films = Films(
        tuple(f"{i:064x}" for i in range(9)), random.integers(0, 256, (9, HASH), np.uint8),
        ("dicom:1",) * 9, ("a",) * 9,
    )  # fmt: skip
    model_folder.save_built_on(folder, make_record(films))
    features = random.normal(size=(2, 120, 64)).astype(np.float32)
    groups, patients = [("a", "covid19")] * 120, [str(i) for i in range(120)]
    model_folder.save_sources(folder, new_source.fit_reference(*features, groups, patients))
    return folder


def read_records(folder: Path) -> None:
    """Read all of a model's folder that a backbone is not needed for."""
    model_folder._parts(folder)
    with model_json.well_formed(folder):
        record = model_json.read_metadata(folder)
        training_record.load_record(folder, record.get(model_folder.BUILT_ON))
        new_source.load_reference(folder, record.get(new_source.KEY))


@pytest.mark.parametrize("count", [FEW // 3, pytest.param(MANY // 4, marks=pytest.mark.hard)])
@pytest.mark.parametrize("name", ["model.json", "seen_films.csv", "seen_patients.csv"])
def test_model_folders_that_know_their_films(known: Path, name: str, count: int) -> None:
    whole, refused = (known / name).read_bytes(), 0
    records = (
        (json.dumps(mutant).encode() for mutant in mutants(json.loads(whole), count))
        if name == "model.json"
        else flipped(whole, count)
    )
    for damaged in records:
        (known / name).write_bytes(damaged)
        refused += read_or_refused(read_records, known)
    assert 0 < refused <= count
    (known / name).write_bytes(whole)
    read_records(known)


@counts
def test_tensorflow_js(tmp_path: Path, count: int) -> None:
    entry = {"name": "conv1/kernel", "shape": [2, 3], "dtype": "float32"}
    tree = {
        "weightsManifest": [{"paths": ["a.bin"], "weights": [entry, {**entry, "name": "b/bias"}]}],
        "modelTopology": {"model_config": {"config": {"layers": [
            {"class_name": "BatchNormalization", "config": {"epsilon": 0.001}}]}}},
    }  # fmt: skip
    (tmp_path / "a.bin").write_bytes(bytes(48))
    (tmp_path / "model.json").write_text(json.dumps(tree))
    assert keras_files.read_keras(tmp_path).epsilon == 0.001
    refused = 0
    for mutant in mutants(tree, count):
        (tmp_path / "model.json").write_text(json.dumps(mutant))
        refused += read_or_refused(keras_files.read_keras, tmp_path)
    assert refused > count / 3


@pytest.mark.parametrize("count", [FEW // 4, pytest.param(MANY // 4, marks=pytest.mark.hard)])
def test_h5(tmp_path: Path, count: int) -> None:
    h5py = pytest.importorskip("h5py")
    file = tmp_path / "a.h5"
    with h5py.File(file, "w") as made:
        made.attrs["layer_names"] = [b"conv1"]
        made.attrs["model_config"] = json.dumps({"config": {"layers": []}})
        layer = made.create_group("conv1")
        layer.attrs["weight_names"] = [b"kernel:0"]
        layer.create_dataset("kernel:0", data=[[1.0, 2.0]])
    for mutant in flipped(file.read_bytes(), count):  # each in a process of its own
        file.write_bytes(mutant)
        read_or_refused(keras_files.read_keras, file)
    with h5py.File(file, "w") as made:
        made.attrs["layer_names"] = [b"conv1"]
        made.attrs["model_config"] = "[1"
        made.create_group("conv1").attrs["weight_names"] = []
    assert read_or_refused(keras_files.read_keras, file)


@counts
def test_results_that_are_compared(tmp_path: Path, count: int) -> None:
    results = {
        "recipe": "r", "title": "t", "classes": ["covid19", "normal"], "model": {"cell": "main"},
        "tasks": [], "scores": [{"cell": "main", "name": "auroc", "value": 0.9}],
    }  # fmt: skip
    table = pd.read_csv(GOLDEN / "demo" / "predictions.csv")
    results["model"] = {"cell": table["cell"].iloc[0]}
    for name in "ab":
        (tmp_path / name).mkdir()
        table.to_csv(tmp_path / name / "predictions.csv", index=False)
        (tmp_path / name / "results.json").write_text(json.dumps(results))
    compare._read(tmp_path / "a")
    refused = 0
    for mutant in mutants(results, count // 2):
        (tmp_path / "b" / "results.json").write_text(json.dumps(mutant))
        refused += read_or_refused(compare._read, tmp_path / "b")
    assert refused > count / 20


@pytest.mark.parametrize("name", ["head.safetensors", "gate.safetensors"])
@counts
def test_tensors(folder: Path, name: str, count: int) -> None:
    def read() -> None:
        model_folder._parts(folder)
        ood.load_detector(folder)

    whole, refused = (folder / name).read_bytes(), 0
    for mutant in flipped(whole, count):
        (folder / name).write_bytes(mutant)
        refused += read_or_refused(read)
    assert refused > count / 3


@counts
def test_tables_of_images(tmp_path: Path, count: int) -> None:
    rows = [
        f"films/{i}.png,{'normal' if i % 2 else 'covid19'},{i // 3},PA,F,{40 + i}\n"
        for i in range(8)
    ]
    whole = "path,label,patient_id,view,sex,age\n" + "".join(rows)
    (tmp_path / "films").mkdir()
    for i in range(8):
        cv2.imwrite(str(tmp_path / "films" / f"{i}.png"), np.full((9, 9), i, np.uint8))
    (tmp_path / "a.csv").write_text(whole)
    assert len(datasets.open_path(tmp_path / "a.csv").table) == 8
    refused = 0
    for mutant in flipped(whole.encode(), count // 6):
        (tmp_path / "a.csv").write_bytes(mutant)
        refused += read_or_refused(datasets.open_path, tmp_path / "a.csv")
    assert refused > 0
    (tmp_path / "a.csv").write_text(whole)
    manifest.save_manifest(datasets.open_path(tmp_path / "a.csv"), tmp_path / "a.parquet")
    whole_file, refused = (tmp_path / "a.parquet").read_bytes(), 0
    for mutant in flipped(whole_file, count // 2):
        (tmp_path / "a.parquet").write_bytes(mutant)
        refused += read_or_refused(datasets.open_path, tmp_path / "a.parquet")
    assert refused > count * 0.4  # pages have checksums; what pandas wrote beside them is not read


@counts
def test_recipes(tmp_path: Path, count: int) -> None:
    source = Path(recipes.__file__).parent / "builtin" / "robust.toml"
    for mutant in flipped(source.read_bytes(), count):
        (tmp_path / "a.toml").write_bytes(mutant)
        read_or_refused(recipes.load_recipe, str(tmp_path / "a.toml"))


@pytest.mark.parametrize("text", ["a = " + "[" * DEEP + "]" * DEEP, "a = " + "{b=" * DEEP])
def test_toml_that_is_too_deep(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(HilumError, match="recipe file"):
        recipes.load_recipe(str(tmp_path / "a.toml"))
    with pytest.raises(HilumError):
        recipes.load_recipe("demo", changes=[text.replace("a = ", "seeds=")])


def test_json_that_is_too_deep(folder: Path) -> None:
    (folder / "model.json").write_text("[" * 100_000)
    with pytest.raises(HilumError, match="must be JSON"):
        model_json.read_metadata(folder)
