"""A model folder answers alike whether its network is built or found, and damage still shows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hilum import files, preprocess
from hilum.experiment.view import plain_key
from hilum.inference import model as models
from hilum.inference import model_folder
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones, weights
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.runtime import compile_cache
from hilum.models.runtime.base import Target
from hilum.types import HilumError, Pixels

SIDE = 224  # of the network
STACK = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE), dtype=np.uint8)


@pytest.fixture
def model() -> TrainedModel:
    random = np.random.default_rng(1)
    head = NumpyHead(Standardise.none(64), ((random.normal(size=(2, 64)), np.zeros(2)),))
    pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    facts = ModelMetadata(["covid19", "normal"], "unit", "fp32", mirror=True)
    return models.compile_model(
        facts, pipeline, backbones.build_backbone("wiklund_fc", "random"), head
    )


@pytest.fixture
def folder(model: TrainedModel, tmp_path: Path) -> Path:
    return model_folder.save_trained_model(model, tmp_path / "model")


def test_built_and_found_give_the_same_bits(
    model: TrainedModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for note in (files.cache_home() / "compiled").glob("*.json"):
        note.unlink()  # where conversions lie: `save` has left one
    first = model_folder.load_trained_model(folder)
    with monkeypatch.context() as patch:
        patch.setattr(backbones, "rebuild_backbone", _never)
        second = model_folder.load_trained_model(folder)
    want = model.logits(STACK)
    assert np.array_equal(first.logits(STACK), want)
    assert np.array_equal(second.logits(STACK), want)
    there, here = second.backbone.state_dict(), model.backbone.state_dict()
    assert second.backbone is second.backbone
    assert all(np.array_equal(there[name], here[name]) for name in here)


@pytest.mark.parametrize("tuned", [False, True])
def test_a_model_knows_without_its_tensors_whether_it_was_tuned(
    folder: Path, tuned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_folder.load_trained_model(folder)  # converts: found from now on
    record = folder / "model.json"
    told = json.loads(record.read_text())
    told["backbone"]["origin"] = f"{weights.TUNED}elsewhere" if tuned else "elsewhere"
    del told["digests"]
    record.write_text(json.dumps(told))
    read = model_folder.load_trained_model(folder)
    monkeypatch.setattr(backbones, "rebuild_backbone", _never)
    assert read.tuned == tuned
    assert replace(read, held=backbones.build_backbone("wiklund_fc", "random")).tuned is False


def test_changed_tensors_change_the_answer(model: TrainedModel, folder: Path) -> None:
    want = model_folder.load_trained_model(folder).logits(STACK)
    without_digests(folder)
    path = folder / "backbone.safetensors"
    tensors = load_file(path)
    save_file({name: values * np.float32(1.01) for name, values in tensors.items()}, path)
    assert not np.array_equal(model_folder.load_trained_model(folder).logits(STACK), want)


def test_damage_is_said_although_the_network_was_found_before(folder: Path) -> None:
    without_digests(folder)
    model_folder.load_trained_model(folder)
    path, record = folder / "backbone.safetensors", folder / "model.json"
    whole, told = path.read_bytes(), json.loads(record.read_text())
    path.write_bytes(whole[:-100])
    with pytest.raises(HilumError, match="must be readable"):
        model_folder.load_trained_model(folder)
    path.unlink()
    with pytest.raises(HilumError, match="must be readable"):
        model_folder.load_trained_model(folder)
    path.write_bytes(whole)
    told["backbone"]["name"] = "elazhari_cnn"
    record.write_text(json.dumps(told))
    with pytest.raises(HilumError, match="must fit it"):
        model_folder.load_trained_model(folder)


def without_digests(folder: Path) -> None:
    """Make a model folder one of an earlier version, whose files may be exchanged."""
    record = json.loads((folder / "model.json").read_text())
    del record["digests"]
    (folder / "model.json").write_text(json.dumps(record))


def _never(*args: object) -> None:
    raise AssertionError("the network was built")


@pytest.fixture
def in_int8(model: TrainedModel, folder: Path, tmp_path: Path) -> tuple[TrainedModel, Path]:
    """A folder as training in int8 left it: `quantised.xml` answers, not the stored backbone.

    Another network has the place of the quantised one, so that which of them answers can be seen.
    """
    other = backbones.build_backbone("wiklund_fc", "random", seed=1)
    answering = models.compile_model(model.facts, model.pipeline, other, model.head)
    assert answering.runtime.network is not None
    for end in (".xml", ".bin"):
        copied = (folder / model_folder.QUANTISED).with_suffix(end)
        copied.write_bytes(answering.runtime.network.with_suffix(end).read_bytes())
    told = json.loads((folder / "model.json").read_text())
    del told["digests"]  # hilum wrote no such folder
    told |= {
        "precision": "int8",
        "quantised": compile_cache.conversion_digest(folder / model_folder.QUANTISED),
    }
    (folder / "model.json").write_text(json.dumps(told))
    return answering, folder


def test_a_model_trained_in_int8_answers_as_it_did(in_int8: tuple[TrainedModel, Path]) -> None:
    answering, folder = in_int8
    loaded = model_folder.load_trained_model(folder)
    assert loaded.runtime.facts.precision == "int8"
    assert loaded.runtime.facts.quantised == loaded.facts.quantised != ""
    assert np.array_equal(loaded.logits(STACK), answering.logits(STACK))


@pytest.mark.slow
def test_heat_maps_of_a_model_in_int8_keep_to_full_precision(
    in_int8: tuple[TrainedModel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    targets: list[Target] = []

    def compile_network(module: object, shape: object, target: Target) -> None:
        targets.append(target)

    monkeypatch.setattr(models.compiling, "compile_network", compile_network)
    models.compile_features_and_maps(model_folder.load_trained_model(in_int8[1]))
    assert [target.precision for target in targets] == ["fp32"]


def test_a_saved_model_is_not_built_to_be_read(
    model: TrainedModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "rebuild_backbone", _never)
    loaded = model_folder.load_trained_model(folder)
    assert loaded.runtime is model.runtime  # compiled once for both
    assert np.array_equal(loaded.logits(STACK), model.logits(STACK))


def test_another_network_in_int8_is_refused(in_int8: tuple[TrainedModel, Path]) -> None:
    path = in_int8[1] / "quantised.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(HilumError, match="must be the one that was tested; got another"):
        model_folder.load_trained_model(in_int8[1])
    path.unlink()
    with pytest.raises(HilumError, match="must be readable"):
        model_folder.load_trained_model(in_int8[1])


def test_features_in_int8_have_a_place_of_their_own(in_int8: tuple[TrainedModel, Path]) -> None:
    pixels = Pixels(STACK, ("a", "b", "c", "d"), "digest")
    engine = model_folder.load_trained_model(in_int8[1]).runtime
    key = plain_key(pixels, in_int8[0].backbone, "unit", engine)
    engine.facts = replace(engine.facts, quantised="another")
    assert plain_key(pixels, in_int8[0].backbone, "unit", engine) != key
