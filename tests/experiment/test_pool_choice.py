"""A pool is chosen inside the training images of each fold, and the choice is on record."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import hilum
from hilum import recipes
from hilum.data import splits
from hilum.experiment import tasks
from hilum.experiment.cell_context import CellData, FoldKey
from hilum.experiment.pool_choice import FoldImages, choose_pool
from hilum.experiment.splits import inner_rounds
from hilum.inference import model_json
from hilum.progress import silent
from hilum.recipes import Recipe, SplitPlan
from hilum.training.compare_features import Round, best_strength
from hilum.training.linear_probe import LabelledFeatures
from hilum.types import HilumError, Manifest, Pixels

DATA = 'data=[{phantom={images=48, size=64, seed=3, classes=["covid19","normal"]}}]'
NETWORK = ["model.backbone=test_efficientnet", "model.weights=random", "prepare.side=64"]


def plan(*changes: str) -> Recipe:
    base = ['classes=["covid19","normal"]', DATA, *NETWORK, "augment.views=1", "figures=[]"]
    return recipes.load_recipe("demo", changes=[*base, "split={kind='kfold',folds=2}", *changes])


def rounds(seed: int = 0) -> tuple[list[Round], np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(60, 5)).astype(np.float32)
    labels = (features[:, 0] + random.normal(size=60) > 0).astype(np.int64)
    number = np.arange(60) % 3
    made = [
        Round(
            (LabelledFeatures(features[number != n], labels[number != n]),),
            (features[None, number == n],),
            labels[number == n],
        )
        for n in range(3)
    ]
    return made, features, labels


def test_held_out_loss_is_that_of_scikit_learn() -> None:
    """C is 1 / (strength x images): their sum of losses against our mean."""
    made, features, labels = rounds()
    found = best_strength(made, np.ones(2), path=(0.1,))
    number = np.arange(60) % 3
    p = np.zeros((60, 2))
    for n in range(3):
        # two rows of weights, each penalised, are one of half the penalty
        other = LogisticRegression(C=2 / (0.1 * 40), tol=1e-8, max_iter=1000)
        other.fit(features[number != n].astype(float), labels[number != n])
        p[number == n] = other.predict_proba(features[number == n].astype(float))
    assert found.loss == pytest.approx(log_loss(labels, p), abs=1e-4)


def test_informative_features_win_and_the_strength_is_the_best_of_the_path() -> None:
    made, _, _ = rounds()
    noise = [
        Round(
            tuple(LabelledFeatures(data.features[:, 1:], data.labels) for data in one.train),
            tuple(views[..., 1:] for views in one.held_out),
            one.labels,
        )
        for one in made
    ]
    path = (3.0, 0.3, 0.03)
    found = best_strength(made, np.ones(2), path)
    each = {one: best_strength(made, np.ones(2), (one,)).loss for one in path}
    assert found.loss == pytest.approx(min(each.values()), abs=1e-3)
    assert found.loss < best_strength(noise, np.ones(2), path).loss - 0.02


@pytest.mark.slow
@pytest.mark.usefixtures("few_audits")
def test_each_fold_chooses_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    tasks.run_into(plan('model.pool=["stages","early",[16]]'), None, out, silent)
    stored = json.loads((out / "results.json").read_text())["model"]
    choices = stored["pool_choice"]
    assert [(row["cell"], row["seed"], row["fold"]) for row in choices] == [
        ("main", 0, 0), ("main", 0, 1)
    ]  # fmt: skip
    parts = pd.read_csv(out / "splits.csv").groupby(["fold", "part"]).size()
    for row in choices:
        assert [one["pool"] for one in row["candidates"]] == ["stages", [8, 16], [16]]
        losses = [one["loss"] for one in row["candidates"]]
        assert row["pool"] == row["candidates"][int(np.argmin(losses))]["pool"]
        assert row["images"] == parts[row["fold"]].drop("test").sum()
        assert row["rounds"] == 5
    record = model_json.read_metadata(out / "model")
    mine = choices[record["provenance"]["fold"]]
    assert stored["pool"] == record["backbone"]["pool"] == mine["pool"]
    assert record["provenance"]["pool_choice"]["candidates"] == mine["candidates"]
    page = (out / "report.html").read_text()
    assert "Which maps the head sees" in page
    assert f"{mine['candidates'][0]['loss']:.3f} (" in page
    tested = pd.read_csv(out / "predictions.csv").set_index("path")
    tested = tested[tested["fold"] == record["provenance"]["fold"]]
    answered = hilum.load_model(out).predict(list(tested.index[:5]))
    got = [answer.probabilities["covid19"] for answer in answered]
    np.testing.assert_allclose(got, tested["p_covid19"].iloc[:5], atol=2e-3)
    assert hilum.load_model(out).explain(tested.index[0]).array.max() >= 0


def fold_images(recipe: Recipe) -> FoldImages:
    """48 images of noise, of which every third tests and every sixth validates."""
    random = np.random.default_rng(4)
    names = tuple(f"{n:02}" for n in range(48))
    part = np.where(np.arange(48) % 3 == 0, "test", "train").astype(object)
    part[1::6] = "validation"
    table = pd.DataFrame(
        {
            "sample_id": names,
            "label": random.choice(["covid19", "normal"], 48),
            "source": "s",
            "sha256": names,
        }
    )
    stack = random.integers(0, 256, (48, 64, 64)).astype(np.uint8)
    split = pd.DataFrame({"sample_id": names, "part": part})
    rounds = pd.Series(np.arange(48) % 4, index=list(names))[part != "test"]
    data = CellData(["covid19", "normal"], Manifest(table), Pixels(stack, names, "noise"))
    return FoldImages(data, split, rounds)


def test_test_images_take_no_part() -> None:
    recipe = plan('model.pool=["stages","early"]', "augment.views=0")
    images = fold_images(recipe)
    test = (images.split["part"] == "test").to_numpy()
    table = images.data.manifest.table.copy()
    table.loc[test, "label"] = np.where(table.loc[test, "label"] == "normal", "covid19", "normal")
    stack = images.data.pixels.stack.copy()
    stack[test] = 0
    data = CellData(
        images.data.classes, Manifest(table), Pixels(stack, images.data.pixels.sample_ids, "other")
    )
    turned = FoldImages(data, images.split, images.rounds)
    alone = FoldImages(images.data, images.split, None)  # held out: the validation part
    choices = [
        choose_pool(recipe, one, FoldKey("main", 0, 0), silent, None)
        for one in (images, turned, alone)
    ]
    assert choices[0] == choices[1]
    (chosen, first), (_, last) = choices[0], choices[2]
    assert first is not None
    assert last is not None
    assert chosen.model.pool == first["pool"]
    assert (first["images"], first["rounds"]) == (32, 4)
    assert (last["images"], last["rounds"]) == (8, 1)
    assert choose_pool(chosen, images, FoldKey("main", 0, 0), silent, None) == (chosen, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (['model.pool="deep"'], "a pool is one of auto, choose, average, stages, early"),
        (["model.pool=[8, 12]"], "strides of a pool are among"),
        (["model.pool=[]"], r"a list of pools among which validation chooses, .*; got \[\]"),
        (['model.pool=["stages","auto"]'], "without auto and choose; got 'auto'"),
        (['model.pool=["stages","early"]', "model.head=mlp"], "name one pool"),
        (['model.pool="choose"', "split.validation=0"], "got split.validation = 0"),
        (
            ['model.pool="choose"', 'train.stages=[{trainable="all",optimiser="adamw"}]'],
            "a frozen network; got a stage that trains the backbone",
        ),
    ],
)
def test_what_cannot_be_chosen_is_refused(tmp_path: Path, changes: list[str], words: str) -> None:
    with pytest.raises(HilumError, match=words):
        tasks.run_into(plan(*changes), None, tmp_path / "out", silent)


def test_rounds_keep_patients_together_and_leave_test_images_out(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "sample_id": [f"{n:02}" for n in range(60)],
            "patient_id": [f"p{n // 3}" for n in range(60)],
            "label": ["a" if n // 3 % 2 else "b" for n in range(60)],
            "source": "s",
            "site": None,
            "dataset": "folder",
            "official_part": None,
            "sha256": [str(n) for n in range(60)],
        }
    )
    manifest = Manifest(table)
    fold = splits.kfold(manifest, 4, 0.2, 0).table
    fold = fold[fold["fold"] == 1]
    found = inner_rounds(SplitPlan(kind="kfold"), manifest, None, fold, 0)  # type: ignore[arg-type]
    assert found is not None
    free = fold.loc[fold["part"] != "test", "sample_id"]
    assert sorted(found.index) == sorted(free)
    patients = table.set_index("sample_id")["patient_id"]
    assert (found.groupby(patients.reindex(found.index)).nunique() == 1).all()
    few = table.assign(patient_id=[f"p{n % 2}" for n in range(60)], label=list("ab") * 30)
    assert inner_rounds(SplitPlan(kind="kfold"), Manifest(few), None, fold, 0) is None  # type: ignore[arg-type]
