"""`import hilum`: what it offers, and that its answers are those of the command line."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import hilum
from hilum import preprocess
from hilum.experiment import predict_files
from hilum.inference import model as models
from hilum.inference import model_folder
from hilum.inference.model import ModelMetadata
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.runtime.base import Runtime
from hilum.preprocess import Pipeline

SIDE = 224  # of the network
CLASSES = ["covid19", "normal"]
HEAVY = ("torch", "pandas", "openvino", "matplotlib", "pydicom", "sklearn")


def grey(seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[0:300, 0:260]
    noise = np.random.default_rng(seed).normal(0, 5, (300, 260))
    return np.clip(90 + 50 * np.sin(x / (20 + seed)) + y / 5 + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(1)
    head = NumpyHead(Standardise.none(64), ((random.normal(size=(2, 64)), np.zeros(2)),))
    pipeline: Pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    facts = ModelMetadata(CLASSES, "unit", "fp32", mirror=True)
    network = backbones.build_backbone("wiklund_fc", "random")
    return model_folder.save_trained_model(
        models.compile_model(facts, pipeline, network, head), tmp_path_factory.mktemp("m") / "model"
    )


@pytest.fixture(scope="module")
def model(folder: Path) -> hilum.Model:
    return hilum.load_model(folder)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    Image.fromarray(grey()).save(tmp_path / "film.png")
    return tmp_path / "film.png"


def test_every_name_is_there_and_no_more_than_a_screen() -> None:
    assert len(hilum.__all__) <= 25
    assert sorted(hilum.__all__) == list(dict.fromkeys(sorted(hilum.__all__)))
    for name in hilum.__all__:
        assert getattr(hilum, name) is not None
    assert set(hilum.__all__) < set(dir(hilum))
    with pytest.raises(AttributeError, match="got 'fit'"):
        hilum.fit  # noqa: B018


def test_importing_it_loads_nothing_heavy() -> None:
    code = f"import sys, hilum; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_its_bytes_and_its_pixels_have_one_answer_that_of_the_command(
    model: hilum.Model, folder: Path, film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "preds.csv"
    predict_files(folder, [film], out, lambda step: lambda done, total: None)
    row = pd.read_csv(out).iloc[0]
    found = model.predict(film)
    assert [found.probabilities[name] for name in CLASSES] == [row[f"p_{n}"] for n in CLASSES]
    assert (found.label, found.path) == (row["label"], str(film))
    for source in (str(film), film.read_bytes(), grey()):
        again = model.predict(source)
        assert again.probabilities == found.probabilities
        assert (again.label, again.abstained, again.reason) == (
            found.label, found.abstained, found.reason,
        )  # fmt: skip
    several = model.predict([film, grey(3), film])
    assert [each.probabilities for each in several[::2]] == [found.probabilities] * 2
    assert several[1].probabilities != found.probabilities


def test_what_cannot_be_read_has_the_reason_of_the_command(
    model: hilum.Model, folder: Path, film: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(film.read_bytes()[:200])
    out = tmp_path / "preds.csv"
    predict_files(folder, [bad], out, lambda step: lambda done, total: None)
    found = model.predict(bad)
    assert found.reason == pd.read_csv(out)["reason"][0] != ""
    assert (found.label, found.probabilities, found.abstained) == ("", {}, True)
    assert str(tmp_path) not in found.reason  # the path stands next to it
    assert model.predict(bad.read_bytes()).reason == found.reason
    odd = Path(os.fsdecode(bytes(tmp_path / "bad") + b"\xe9.png"))  # no UTF-8
    odd.write_bytes(bad.read_bytes())
    assert model.predict(odd).reason == found.reason
    with pytest.raises(hilum.MissingError, match=r"nowhere\.png"):
        model.predict(tmp_path / "nowhere.png")


@pytest.mark.parametrize(
    ("pixels", "got"),
    [
        (grey().astype(np.uint16), "uint16"), (np.zeros((4, 5, 3), np.uint8), r"\(4, 5, 3\)"),
        (grey().astype(np.float32), "divide by the value"), (np.zeros((0, 4), np.uint8), "shape"),
        (np.full((9, 9), np.nan, np.float32), "nan"), (-np.ones((9, 9), np.float32), "-1 to -1"),
    ],
)  # fmt: skip
def test_pixels_that_are_no_grey_image_are_refused(
    model: hilum.Model, pixels: np.ndarray, got: str
) -> None:
    found = model.predict(pixels)
    assert found.label == ""
    with pytest.raises(hilum.HilumError, match=got):
        model.explain(pixels)


@pytest.mark.parametrize("wrong", [None, 3, [None], [["film.png"]], {"film.png"}, {"film": 1}, ""])
def test_what_is_no_film_is_one_sentence(model: hilum.Model, wrong: Any) -> None:
    for ask in (model.predict, model.explain, hilum.read_image):
        with pytest.raises(hilum.HilumError, match=r"; got .*; (give|name|check|correct)"):
            ask(wrong)


def test_other_buffers_and_lists_are_films(model: hilum.Model, film: Path) -> None:
    data = film.read_bytes()
    known = model.predict(data).probabilities
    for source in (bytearray(data), memoryview(data)):
        assert model.predict(source).probabilities == known
    assert [p.probabilities for p in model.predict(data for _ in range(2))] == [known] * 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hilum.load_model(3), "a path must be text"),
        (lambda: hilum.load_recipe(None), "a path must be text"),
        (lambda: hilum.load_recipe("demo", changes="augment.views=0"), "changes are a list"),
        (lambda: hilum.open_data("films", columns="label"), "TableColumns"),
        (lambda: hilum.open_data("films", source_tag=3), "source_tag names a DICOM"),
        (lambda: hilum.run("demo", out="o", workers="2"), "workers must be at least 1; got '2'"),
    ],
)
def test_arguments_of_another_type_are_one_sentence(
    call: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(hilum.HilumError, match=words):
        call()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["heat.txt", "", "folder"])
def test_a_heat_map_needs_the_name_of_a_picture(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    heat = hilum.Heatmap(np.eye(8, dtype=np.float32), grey()[:8, :8], "normal", 0.8, "gradcam")
    with pytest.raises(hilum.HilumError, match=r"heat map is written|a path must be"):
        heat.save(name and tmp_path / name)


def test_a_heat_map_is_of_the_class_that_was_asked(
    model: hilum.Model, film: Path, tmp_path: Path
) -> None:
    found = model.predict(film)
    heat = model.explain(film, method="occlusion")
    assert (heat.class_, heat.probability) == (found.label, found.probabilities[found.label])
    assert heat.array.shape == heat.film.shape == (SIDE, SIDE)
    assert 0 <= heat.array.min() <= heat.array.max() <= 1
    assert heat.render().shape == (SIDE, SIDE, 3)
    with Image.open(heat.save(tmp_path / "heat.png")) as page:
        assert page.width > 2 * SIDE
    other = next(name for name in CLASSES if name != found.label)
    assert model.explain(film, method="occlusion", class_=other).class_ == other
    with pytest.raises(hilum.HilumError, match="did you mean 'normal'"):
        model.explain(film, class_="norml")


def test_a_model_says_what_it_is(model: hilum.Model, folder: Path) -> None:
    assert model.classes == CLASSES
    assert model.verdict.startswith("Verdict on this model")
    assert repr(model) == f"Model({str(folder)!r}, classes={CLASSES})"


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> hilum.Model:
    """A model whose network has a map."""
    random = np.random.default_rng(1)
    network = backbones.build_backbone("tf_efficientnet_lite0")
    width = network(torch.zeros(1, 3, SIDE, SIDE)).shape[1]
    head = NumpyHead(Standardise.none(width), ((random.normal(size=(2, width)), np.zeros(2)),))
    pipeline: Pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    facts = ModelMetadata(CLASSES, "unit", "fp32", mirror=True)
    made = models.compile_model(facts, pipeline, network, head)
    return hilum.load_model(
        model_folder.save_trained_model(made, tmp_path_factory.mktemp("seeing") / "model")
    )


def test_an_answer_and_its_heat_map_are_one_pass(
    seeing: hilum.Model, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film and its mirror image: two images through the network, whatever is asked of it."""
    found = seeing.predict(film)
    heat = seeing.explain(film)  # compiled, and tried once on noise
    assert heat.probability == found.probabilities[found.label]
    passed: list[int] = []
    true = Runtime.stream

    def counted(self: Runtime, images: Any, count: int, *rest: Any) -> Any:
        passed.append(count)
        return true(self, images, count, *rest)

    monkeypatch.setattr(Runtime, "stream", counted)
    again = seeing.explain(film)
    assert sum(passed) == 2
    np.testing.assert_array_equal(again.array, heat.array)
    assert heat.array.max() == 1
