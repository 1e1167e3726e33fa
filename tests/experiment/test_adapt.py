"""A model adapted to another hospital's films: the same arithmetic, its folder, its refusals."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.special import softmax

from hilum import phantom, preprocess
from hilum.experiment import adapt, adapt_report
from hilum.experiment.adapt import Adaptation
from hilum.inference import exported, kept_films, model_folder, model_json, new_source, ood
from hilum.inference import model as models
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.progress import silent
from hilum.training import adaptation
from hilum.types import HilumError

SIDE, CLASSES = 64, ["covid19", "normal"]
SHORT = (np.inf, 10.0, 1.0)  # strengths


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model/`, made of a random network and head, and 36 labelled `films/` in class folders."""
    home = tmp_path_factory.mktemp("adapted")
    films = phantom.generate(phantom.Request(images=36, size=96, seed=8))
    for i, row in films.table.iterrows():
        folder = home / "films" / str(row["label"])
        folder.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / f"{row['patient_id']}_{i}.png"), films.images[i])
    pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    backbone = backbones.build_backbone("test_efficientnet", "random")
    old = phantom.generate(phantom.Request(images=90, size=96, seed=9))
    stack = np.stack([pipeline(film) for film in old.images])
    engine = models.compile_backbone(backbone, "unit", pipeline, "fp32")
    features = engine(stack)
    random = np.random.default_rng(0)
    layer = (random.normal(size=(2, features.shape[1])) / 20, np.array([0.3, -0.1]))
    head = NumpyHead(Standardise.of(features), (layer,))
    facts = ModelMetadata(CLASSES, "unit", "fp32", mirror=True, temperature=1.7)
    turned = {
        pose: engine(np.stack([pipeline(ood.posed(film, pose)) for film in old.images[:20]]))
        for pose in ood.POSES
    }
    pairs = [("old", str(label)) for label in old.table["label"]]
    sources = new_source.fit_reference(
        features[::2], features[1::2], pairs[1::2], [str(i) for i in range(45)]
    )
    gate = ood.fit_detector(features[:60], turned, features[60:])
    model = TrainedModel(facts, pipeline, backbone, head, engine, gate, sources=sources)
    folder = model_folder.save_trained_model(model, home / "model")
    labels = np.array([CLASSES.index(str(label)) for label in old.table["label"]])
    kept = kept_films.KeptFilms.of(features[:50], labels[:50], ("old",) * 50)
    kept_films.save_kept(kept, folder)
    model_json.amend(folder, {kept_films.KEY: kept.record()})
    return home


@pytest.fixture(scope="module")
def adapted(home: Path) -> Adaptation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptation, "PATH", SHORT)
        patch.setattr(adapt_report, "PATH", SHORT)
        return adapt.adapt_model(home / "model", home / "films", home / "out", silent)


def test_the_new_folder_answers_as_the_shift_says(home: Path, adapted: Adaptation) -> None:
    old, new = (exported.load(folder) for folder in (home / "model", adapted.folder))
    film = phantom.generate(phantom.Request(images=5, size=96, seed=10)).images
    stack = np.stack([old.pipeline(pixels) for pixels in film])
    plain, mirror = old.features(stack)
    assert mirror is not None
    inputs = (adapt.last_inputs(old.head, plain) + adapt.last_inputs(old.head, mirror)) / 2
    films = adapt._films(old, _open(home), silent).new
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptation, "PATH", SHORT)
        weights = adaptation.weigh_strengths(films)
        shift = adaptation.fit_weighed(films, weights)
    assert list(adapted.record["strengths"].values()) == pytest.approx(weights, abs=1e-3)
    expected = softmax(shift(old.logits(stack) / 1.7, inputs), axis=1)
    assert new.probabilities(stack) == pytest.approx(expected, abs=1e-6)
    assert adapted.record["scale"] == pytest.approx(shift.scale, abs=1e-5)


def _open(home: Path):
    return adapt.evaluate.open_any(home / "films")


def test_its_figures_are_out_of_fold_and_set_its_limits(home: Path, adapted: Adaptation) -> None:
    old, new = (exported.load(folder) for folder in (home / "model", adapted.folder))
    films = adapt._films(old, _open(home), silent).new
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptation, "PATH", SHORT)
        p = np.round(softmax(adaptation.out_of_fold(films), axis=1), 8)
    right = float((p.argmax(1) == films.labels).mean())
    assert adapted.record["after"]["right"] == pytest.approx(right, abs=1e-6)
    before = softmax(films.logits, axis=1)
    loss = -np.log(before[np.arange(len(films)), films.labels]).mean()
    assert adapted.record["before"]["log_loss"] == pytest.approx(loss, abs=1e-5)
    for i, name in enumerate(CLASSES):
        least = np.quantile(p[films.labels == i, i], 0.1, method="lower")
        assert new.facts.thresholds[name] == pytest.approx(least, abs=0.05)
        assert new.facts.conformal[name] <= np.sort(p[films.labels == i, i])[1] + 1e-9


def test_it_knows_the_new_films_and_says_what_it_costs(home: Path, adapted: Adaptation) -> None:
    old, new = (exported.load(folder) for folder in (home / "model", adapted.folder))
    assert len(new.facts.seen) == 36
    assert isinstance(new.gate, ood.OodDetector)
    assert isinstance(old.gate, ood.OodDetector)
    assert len(new.gate.bank) == len(old.gate.bank) + 36
    assert (new.gate.far, new.gate.turned) >= (old.gate.far, old.gate.turned)
    assert isinstance(new.sources, new_source.SourceReference)
    assert len(new.sources.group) == 45 + 36
    old_films = adapted.record["old_sources"]["old"]
    kept = kept_films.load_kept(
        home / "model", model_json.read_metadata(home / "model")["kept_films"]
    )
    assert isinstance(kept, kept_films.KeptFilms)
    right = (old.head.logits(kept.features).argmax(1) == kept.labels).mean()
    assert old_films["before"]["right"] == pytest.approx(right)
    record = json.loads((home / "out" / adapt.FILE).read_text())
    assert record == adapted.record
    page = (home / "out" / adapt.REPORT).read_text()
    assert "### old, 50 films" in page
    judged = model_json.read_metadata(adapted.folder)["judged"]
    assert judged["by"] == "adapt"
    assert "No audit was made" in judged["verdict"]


def test_kept_features_are_close_to_the_real_ones(home: Path) -> None:
    random = np.random.default_rng(2)
    features = random.normal(5, 3, (80, 20)).astype(np.float32)
    kept = kept_films.KeptFilms.of(features, np.zeros(80, np.int64), ("a",) * 80)
    assert np.abs(kept.features - features).max() <= 0.026 * features.std(0).max()
    with pytest.raises(HilumError, match="another; restore the folder"):
        kept_films.load_kept(home / "model", {"sha256": "0", "sources": ["old"] * 50})
    assert "earlier version" in str(kept_films.load_kept(home, None))


def test_what_cannot_be_adapted_is_refused(home: Path, adapted: Adaptation, tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="an --out without a model"):
        adapt.adapt_model(home / "model", home / "films", home / "out", silent)
    with pytest.raises(HilumError, match="the model was not built on; got none"):
        adapt.adapt_model(adapted.folder, home / "films", tmp_path / "b", silent)
    few = adapt._films(exported.load(home / "model"), _open(home), silent).new
    one_class = few.take(np.flatnonzero(few.labels == 0))
    for films in (few.take(np.arange(6)), one_class):
        with pytest.raises(HilumError, match="adapt needs labelled films of 10 patients"):
            adapt.require_enough(films, CLASSES)
    export = tmp_path / "export"
    export.mkdir()
    record = {**model_json.read_metadata(home / "model"), exported.KEY: {}}
    model_json.write_record(export, record)
    with pytest.raises(HilumError, match="got the exported model"):
        adapt.adapt_model(export, home / "films", tmp_path / "c", silent)


def test_a_deep_head_changes_in_its_last_layer_alone() -> None:
    random = np.random.default_rng(3)
    layers = ((random.normal(size=(7, 5)), random.normal(size=7)),
              (random.normal(size=(2, 7)), random.normal(size=2)))  # fmt: skip
    head = NumpyHead(Standardise(np.arange(10.0), np.full(10, 2.0)), layers, positions=2)
    features = random.normal(size=(4, 10)).astype(np.float32)
    inputs = adapt.last_inputs(head, features)
    assert inputs @ layers[1][0].T + layers[1][1] == pytest.approx(head.logits(features))
    shift = adaptation.Shift(0.7, np.array([0.2, -0.2]), random.normal(size=(2, 7)))
    new = adapt.shifted_head(head, shift, 1.7)
    assert new.logits(features) == pytest.approx(shift(head.logits(features) / 1.7, inputs))
    assert replace(new, layers=()).layers == ()


def test_an_adaptation_that_ends_early_leaves_no_model(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model_folder, "save_seen", dies)
    monkeypatch.setattr(adaptation, "PATH", SHORT)
    monkeypatch.setattr(adapt_report, "PATH", SHORT)
    with pytest.raises(KeyboardInterrupt):
        adapt.adapt_model(home / "model", home / "films", tmp_path / "out", silent)
    assert not (tmp_path / "out" / "model").exists()
