"""The graph computes what hilum computes: head, mirror, temperature, gate, sets and heat."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from export_models import CLASSES, SMALL, model_of, stack_of

from hilum import phantom
from hilum.explain import cam, explainer
from hilum.exporting.graph import ExportGraph
from hilum.inference import conformal
from hilum.inference.model import TrainedModel
from hilum.models import backbones
from hilum.types import HilumError, Stack8


def outputs(model: TrainedModel, stack: Stack8) -> dict[str, np.ndarray]:
    graph = ExportGraph(model).eval()
    with torch.inference_mode():
        values = graph(torch.from_numpy(stack))
    return {name: value.numpy() for name, value in zip(graph.names, values, strict=True)}


def agree(model: TrainedModel, stack: Stack8, *, varies: bool = True) -> dict[str, np.ndarray]:
    """Every number of the graph beside NumPy's, OpenVINO's and captum's."""
    got = outputs(model, stack)
    plain, _ = model.features(stack)
    want = model.probabilities(stack)
    assert np.abs(got["probabilities"] - want).max() < 1e-5
    assert not varies or want.std(0).max() > 1e-2, "films that all answer alike prove nothing"
    assert model.gate is not None
    assert np.abs(got["distance"] - model.gate.distances(plain)).max() < 1e-5
    assert np.abs(got["poses"] - model.gate.poses(plain)).max() < 2e-3
    kept = conformal.prediction_sets(want, model.facts.classes, model.facts.conformal)
    assert np.array_equal(got["possible"].astype(bool), kept)
    assert not varies or 0 < kept.mean() < 1
    if "heat" in got:
        explained = explainer.make_explainable(model)
        for i, class_ in ((0, 0), (1, len(CLASSES) - 1)):
            heat = cam.evidence(explained, stack[i], class_)
            assert np.abs(got["heat"][i, class_] - heat).max() < 1e-3 * np.abs(heat).max() + 1e-6
    return got


def test_a_linear_head_on_averages(small: TrainedModel, films: phantom.Phantom) -> None:
    got = agree(small, stack_of(films)[:9])
    assert list(got) == [
        "probabilities", "possible", "distance", "poses", "map", "map_mirrored", "heat"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        *("hidden", "stages", "flatten", "positions", "panels"),
        pytest.param("beside", marks=pytest.mark.slow),
    ],
)
def test_every_head_and_pool(kind: str, films: phantom.Phantom) -> None:
    stack = stack_of(films, 64, panels=2 if kind == "panels" else 1)
    first = backbones.build_backbone(
        SMALL, "random", pool="flatten" if kind == "positions" else "average"
    )
    shape: dict[str, int] = {}
    if kind == "hidden":
        shape = {"hidden": 16}
    elif kind in ("stages", "flatten"):
        first = backbones.build_backbone(SMALL, "random", pool=kind)  # type: ignore[arg-type]
    elif kind == "positions":
        shape = {"hidden": 8, "positions": 4}
    elif kind == "panels":
        first = backbones.with_panels(first, 2)
    elif kind == "beside":
        first = backbones.join_backbones(first, [backbones.build_backbone(SMALL, "random")])
    assert "heat" in agree(model_of(first, stack, **shape), stack[:5])


def test_one_view_without_mirror(films: phantom.Phantom) -> None:
    stack = stack_of(films, 64)
    got = agree(model_of(backbones.build_backbone(SMALL, "random"), stack, mirror=False), stack[:3])
    assert "map_mirrored" not in got


@pytest.mark.slow
def test_a_network_without_maps_has_no_heat_and_says_so(films: phantom.Phantom) -> None:
    stack = stack_of(films, 160)
    model = model_of(backbones.build_backbone("test_vit", "random"), stack)
    got = agree(model, stack[:3])
    assert {"map", "heat"}.isdisjoint(got)
    assert "tokens of a transformer" in ExportGraph(model).without_map


def test_what_is_more_than_a_mean_has_a_map_but_no_heat(films: phantom.Phantom) -> None:
    stack = stack_of(films, 200)
    model = model_of(backbones.build_backbone("elazhari_cnn", "random"), stack)
    assert "heat" not in agree(model, stack[:2], varies=False)  # random, it is all but blind
    assert ExportGraph(model).without_heat.startswith("what follows the last map")


def test_a_model_in_int8_is_refused(small: TrainedModel) -> None:
    with pytest.raises(HilumError, match="got one in int8; train"):
        ExportGraph(replace(small, facts=replace(small.facts, quantised="digest")))
