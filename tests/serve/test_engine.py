"""The network's thread: batches give each film its own answer, and nothing ends the thread."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films_to_send import CLASSES, grey
from serving import Tiny

from hilum import preprocess
from hilum.explain import cam, explainer, render
from hilum.explain.one_pass import OnePass
from hilum.inference import answer, exported
from hilum.inference import model as models
from hilum.inference.answer import PreparedImage
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.serve.engine import Engine


@pytest.fixture
def engine(tiny: Tiny) -> Iterator[Engine]:
    started_by_the_test = Engine(tiny.model)
    yield started_by_the_test
    started_by_the_test.stop()


def films(model: TrainedModel, count: int) -> list[PreparedImage]:
    return [answer.prepare_array(grey(i), model.pipeline) for i in range(count)]


def test_films_that_wait_together_have_the_answers_they_have_alone(
    engine: Engine, tiny: Tiny
) -> None:
    prepared = films(tiny.model, 20)
    futures = [engine.submit(film, heat=i % 9 == 0) for i, film in enumerate(prepared)]
    engine.start()  # all wait before the first pass
    for i, (film, future) in enumerate(zip(prepared, futures, strict=True)):
        (p,), (reason,) = answer.answer(tiny.model, [film])
        result = future.result(60)
        assert list(result.prediction.probabilities.values()) == p.tolist()
        assert (result.prediction.label, result.prediction.reason) == (CLASSES[p.argmax()], reason)
        assert (result.heat is not None) == (i % 9 == 0)


def test_heat_maps_of_one_pass_are_not_mixed_up() -> None:
    """Where the pass for maps has the very features of the prediction, it serves for both."""
    model = lite()
    engine, prepared = Engine(model), films(model, 3)
    futures = [engine.submit(film, heat=True) for film in prepared]
    engine.start()
    results = [future.result(300) for future in futures]
    one_pass = engine._heatmaps.one_pass()
    assert isinstance(one_pass, OnePass)
    assert one_pass.exact
    subject = explainer.make_explainable(model)
    for film, result in zip(prepared, results, strict=True):
        index = CLASSES.index(result.prediction.label)
        expected = render.relative(cam.heat(subject, film.pixels, index))
        np.testing.assert_allclose(result.heat, expected, atol=1e-5)
    engine.stop()


def lite() -> TrainedModel:
    random = np.random.default_rng(2)
    head = NumpyHead(Standardise.none(1280), ((random.normal(size=(2, 1280)), np.zeros(2)),))
    pipeline = preprocess.from_list([{"step": "resize", "side": 96}])
    facts = ModelMetadata(CLASSES, "imagenet", "fp32", mirror=True, temperature=30.0)
    return models.compile_model(
        facts, pipeline, backbones.build_backbone("tf_efficientnet_lite0"), head
    )


def test_a_film_on_which_the_network_fails_spoils_no_other(
    engine: Engine, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, prepared = Engine._answers, films(tiny.model, 3)
    bad = prepared[1]

    def fail(self: Engine, batch: list[PreparedImage], heat: bool) -> Any:
        if any(film is bad for film in batch):
            raise RuntimeError("no memory")
        return whole(self, batch, heat)

    monkeypatch.setattr(Engine, "_answers", fail)
    first, second, third = (engine.submit(film) for film in (prepared[0], bad, prepared[2]))
    engine.start()
    assert first.result(60).prediction.label in CLASSES
    assert third.result(60).prediction.label in CLASSES
    with pytest.raises(RuntimeError, match="no memory"):
        second.result(60)


def test_a_client_that_went_leaves_the_thread_alive(engine: Engine, tiny: Tiny) -> None:
    gone, *others = (engine.submit(film) for film in films(tiny.model, 3))
    assert gone.cancel()
    engine.start()
    assert all(future.result(60).prediction.label for future in others)


def test_stop_answers_what_waits(tiny: Tiny) -> None:
    engine = Engine(tiny.model)
    futures = [engine.submit(film) for film in films(tiny.model, 20)]
    engine.start()
    engine.stop()
    assert all(future.done() for future in futures)


def test_a_folder_that_went_costs_the_heat_map_alone(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny.folder, tmp_path / "model")
    engine = Engine(exported.load(folder))
    shutil.rmtree(folder)
    engine.start()
    result = engine.submit(films(tiny.model, 1)[0], heat=True).result(60)
    engine.stop()
    assert result.prediction.label in CLASSES
    assert result.heat is None
    assert "its folder has changed" in result.heat_reason
    assert str(tmp_path) not in result.heat_reason
