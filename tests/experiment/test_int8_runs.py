"""Int8 from recipe to prediction: used where validation allows it, refused where it does not."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from hilum import experiment, recipes
from hilum.experiment import int8, validate
from hilum.experiment.int8 import Trial
from hilum.inference import model as models
from hilum.models import quantise
from hilum.recipes import Recipe
from hilum.types import HilumError, MissingError, Results

pytestmark = pytest.mark.usefixtures("few_audits", "no_report")
LAST = '[{name="head"}, {name="all", trainable="last", optimiser="adam", epochs=1, lr=1e-4}]'


def silent(name: str):
    return lambda done, total: None


def small(*changes: str) -> Recipe:
    """40 films of two classes and a small network of a paper's: quantised in a second."""
    data = 'data=[{phantom={images=40, size=96, seed=3, classes=["covid19","normal"]}}]'
    base = ['classes=["covid19","normal"]', data, "figures=[]"]
    network = ["model.backbone=wiklund_fc", "model.weights=random"]
    return recipes.load("demo", changes=[*base, *network, "model.precision=int8", *changes])


def tried(out: Path, monkeypatch: pytest.MonkeyPatch, allowed: float, *changes: str) -> Results:
    monkeypatch.setattr(int8, "ALLOWED", allowed)
    monkeypatch.setattr(quantise, "IMAGES", 8)
    return experiment.run_recipe(small(*changes), None, out, silent)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path]:
    out = tmp_path_factory.mktemp("frozen")
    with pytest.MonkeyPatch.context() as patch:
        return tried(out, patch, 1.0), out


def test_what_was_tested_in_int8_predicts_in_int8(frozen: tuple[Results, Path]) -> None:
    results, out = frozen
    same_as_tested(results, out)
    damaged(out / "model")


@pytest.mark.slow
def test_a_tuned_backbone_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same_as_tested(tried(tmp_path, monkeypatch, 1.0, f"train.stages={LAST}"), tmp_path)


def same_as_tested(results: Results, out: Path) -> None:
    assert results.model["precision"] == "int8"
    assert results.model["engine"]["precision"] == "int8"
    assert "1 of 1 models compute in it" in results.model["int8"][0]
    told = models.read_metadata(out / "model")
    assert told["provenance"]["int8"]["used"]
    assert len(told["quantised"]) == 32
    table = pd.read_csv(out / "predictions.csv")
    paths = [Path(path) for path in table["path"]]
    experiment.predict_files(out / "model", paths, out / "p.csv", silent)
    again = pd.read_csv(out / "p.csv")
    assert (again["p_normal"].to_numpy() == table["p_normal"].to_numpy()).all()


def damaged(folder: Path) -> None:
    path = folder / "quantised.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(HilumError, match="must be the one that was tested; got another"):
        models.load(folder)
    path.unlink()
    with pytest.raises(HilumError, match="must be readable"):
        models.load(folder)
    path.write_bytes(whole)


def test_a_fall_of_auroc_keeps_full_precision_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = experiment.run_recipe(small("model.precision=auto"), None, tmp_path / "plain", silent)
    results = tried(tmp_path / "refused", monkeypatch, -1.0)
    assert results.model["precision"] == plain.model["precision"] != "int8"
    assert "1 of 1 models keep full precision" in results.model["int8"][0]
    assert "int8" not in plain.model
    assert not (tmp_path / "refused" / "model" / "quantised.xml").exists()
    tables = [pd.read_csv(tmp_path / name / "predictions.csv") for name in ("plain", "refused")]
    assert tables[0].drop(columns="path").equals(tables[1].drop(columns="path"))


def test_a_better_fold_in_full_precision_leaves_no_network_in_int8(
    frozen: tuple[Results, Path], tmp_path: Path
) -> None:
    model = models.load(frozen[1] / "model")
    again = models.save(model, tmp_path / "again")
    assert models.load(again).facts == model.facts
    full = models.assemble(
        models.ModelMetadata(model.facts.classes, model.facts.normalise, "fp32", mirror=True),
        model.pipeline,
        model.backbone,
        model.head,
    )
    models.save(full, again)
    assert not list(again.glob("quantised.*"))
    assert json.loads((again / "model.json").read_text())["quantised"] == ""


def test_the_trial_is_macro_auroc_and_the_largest_change() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 90)
    p = random.dirichlet(np.ones(3), (2, 90))
    trial = int8.compare(labels, p[0], p[1])
    want = [roc_auc_score(labels, each, multi_class="ovr") for each in p]
    assert np.allclose((trial.full, trial.small), want)
    assert trial.used == (want[0] - want[1] <= 0.002)
    assert trial.change == np.abs(p[0] - p[1]).max()
    one = int8.compare(np.zeros(9, np.int64), p[0, :9], p[0, :9])
    assert not one.used  # nothing to rank: not a proof that nothing was lost


def test_the_bound_is_two_thousandths() -> None:
    labels = np.array([0, 1]).repeat(1000)
    score = np.arange(2000.0)
    p = np.stack([1 - score / 2000, score / 2000], 1)
    for places, used in ((1, True), (5, False)):  # of 1000: one image falls below so many per cent
        worse = p.copy()
        worse[1000 : 1000 + places] = p[:places] - 1e-5
        trial = int8.compare(labels, p, worse)
        assert trial.used is used
        assert trial.full - trial.small == pytest.approx(places / 1000, abs=2e-5)


def test_sentences_count_both_kinds() -> None:
    trials = [Trial(True, 0.9, 0.8995, 0.02, 50), Trial(False, 0.9, 0.89, 0.3, 50)]
    used, refused = int8.sentences(trials)
    assert "1 of 2 models compute in it" in used
    assert "0.0005 at most" in used
    assert "0.020 at most" in used
    assert "up to 0.0100" in refused
    assert int8.told([]) == {}


def test_asked_for_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HilumError, match="precision"):
        small("model.precision=int4")
    validate.check_recipe(small())
    monkeypatch.setattr(quantise, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"'model.precision'.*pip install hilum\[int8\]"):
        validate.check_recipe(small())
