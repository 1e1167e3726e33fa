"""Runs of many shapes: folds, seeds, stages, resumed, failing in part, refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cold_cache import begin_cold
from hilum import experiment, images, recipes
from hilum.experiment import fit_ood
from hilum.inference import model_folder
from hilum.recipes import Recipe
from hilum.types import HilumError, Image

pytestmark = pytest.mark.usefixtures("few_audits", "no_report")


def silent(name: str):
    return lambda done, total: None


def small(*changes: str) -> Recipe:
    """60 films of two classes, hold-out, no figures of a study, a network of timm's for tests."""
    data = 'data=[{phantom={images=60, size=128, seed=3, classes=["covid19","normal"]}}]'
    return recipes.load_recipe(
        "demo",
        changes=[
            'classes=["covid19","normal"]',
            data,
            "model.backbone=test_efficientnet",
            "model.weights=random",
            "prepare.side=96",
            "figures=[]",
            *changes,
        ],
    )


def test_phantom_shortcut_is_condemned(tmp_path: Path) -> None:
    """The dial that ties hospital to label must show in the verdict."""
    tied = 'phantom={images=60, size=128, seed=3, shortcut=1.0, classes=["covid19","normal"]}'
    results = experiment.run_recipe(small(f"data=[{{{tied}}}]"), None, tmp_path, silent)
    assert next(found for found in results.audits if found.id == "C-02").status == "fail"
    assert results.verdict.startswith("Do not trust")  # on 18 test images, too few for all else


def test_a_second_run_decodes_nothing_and_gives_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_cold(monkeypatch, tmp_path / "cache")
    decoded, read = [], images.read

    def counted(path: Path, at_least: int | None = None, **kept: bool) -> Image:
        decoded.append(path)
        return read(path, at_least, **kept)

    monkeypatch.setattr(images, "read", counted)
    first = experiment.run_recipe(small(), None, tmp_path / "a", silent)
    assert len(decoded) >= 60
    decoded.clear()
    second = experiment.run_recipe(small(), None, tmp_path / "b", silent)
    assert (
        len(decoded) <= fit_ood.POSE_SAMPLE + fit_ood.LUNG_SAMPLE
    )  # which the gate looks at as they are
    values = [[(s.name, s.class_, s.value) for s in found.scores] for found in (first, second)]
    assert repr(values[0]) == repr(values[1])
    bits = [(tmp_path / name / "model" / "head.safetensors").read_bytes() for name in "ab"]
    assert bits[0] == bits[1]


@pytest.mark.slow
def test_kfold_tests_every_image_once_and_the_model_is_one_of_the_folds(tmp_path: Path) -> None:
    plan = small('split={kind="kfold",folds=3,validation=0.2}')
    results = experiment.run_recipe(plan, None, tmp_path, silent)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table["sample_id"].is_unique
    assert len(table) == results.n["images"] == 60
    mine = table[table["fold"] == results.model["fold"]]
    experiment.predict_files(
        tmp_path / "model", [Path(p) for p in mine["path"]], tmp_path / "p.csv", silent
    )
    again = pd.read_csv(tmp_path / "p.csv")
    assert (again["p_normal"].to_numpy() == mine["p_normal"].to_numpy()).all()


@pytest.mark.parametrize(
    ("stages", "head"),
    [
        ('[{optimiser="adam", epochs=5, lr=0.01}]', "mlp"),
        pytest.param(
            '[{}, {name="all", trainable="all", optimiser="adamw", epochs=1, lr=1e-4, batch=16}]',
            "linear",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_other_stages_train_and_predict_exactly(tmp_path: Path, stages: str, head: str) -> None:
    plan = small(f"train.stages={stages}", f"model.head={head}")
    experiment.run_recipe(plan, None, tmp_path, silent)
    own = pd.read_csv(tmp_path / "predictions.csv")
    experiment.predict_files(
        tmp_path / "model", [Path(p) for p in own["path"]], tmp_path / "p.csv", silent
    )
    assert pd.read_csv(tmp_path / "p.csv")["p_normal"].equals(own["p_normal"])


@pytest.mark.slow
def test_without_validation_nothing_is_chosen_and_the_test_images_are_watched(
    tmp_path: Path,
) -> None:
    """Study 002 (S2-03): its curves are of the test set; the last epoch's loss is ours again."""
    stages = 'train.stages=[{optimiser="adam", epochs=4, lr=1e-4, keep="last"}]'
    plan = small("split.validation=0", stages, "model.mirror=false", "train.balance=none")
    two = plan.model_copy(update={"grid": {"model.head": ["mlp", "linear"]}})
    results = experiment.run_recipe(two, None, tmp_path, silent)
    assert set(pd.read_csv(tmp_path / "splits.csv")["part"]) == {"train", "test"}
    assert results.model["cell"] == "head=mlp"
    kept = model_folder.load_trained_model(tmp_path / "model")
    assert (kept.facts.temperature, kept.facts.thresholds, kept.facts.conformal) == (1, {}, {})
    assert kept.gate is None
    assert any("not calibrated (temperature 1)" in limit for limit in results.limits)
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history["part"].unique()) == ["train", "test"]
    own = pd.read_csv(tmp_path / "predictions.csv")
    for cell, rows in history[history["part"] == "test"].groupby("cell"):
        mine = own[own["cell"] == cell]
        true = np.where(mine["label"] == "covid19", mine["p_covid19"], mine["p_normal"])
        assert rows["loss"].iloc[-1] == pytest.approx(-np.log(true).mean(), rel=1e-4)


@pytest.mark.slow
def test_a_head_is_fitted_again_on_validation_images_as_well(tmp_path: Path) -> None:
    """Only the head changes: temperature and limits are those of the fit before."""
    alone = ("augment.views=0", "model.mirror=false")
    found = {}
    for refit in ("false", "true"):
        out = tmp_path / refit
        experiment.run_recipe(small(*alone, f"train.stages=[{{refit={refit}}}]"), None, out, silent)
        found[refit] = model_folder.load_trained_model(out / "model")
    once, again = found["false"], found["true"]
    assert again.facts.temperature == once.facts.temperature
    assert again.facts.thresholds == once.facts.thresholds
    table = pd.read_parquet(tmp_path / "true" / "manifest.parquet").set_index("sample_id")
    split = pd.read_csv(tmp_path / "true" / "splits.csv").set_index("sample_id")["part"]
    for fitted, parts in ((once, ["train"]), (again, ["train", "validation"])):
        paths = table.loc[split[split.isin(parts)].index, "path"]
        films = [fitted.pipeline(images.read(Path(path)).pixels) for path in paths]
        mean = fitted.runtime(np.stack(films)).mean(0)
        np.testing.assert_allclose(fitted.head.standardise.mean, mean, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_each_picture_of_a_film_has_a_head_of_its_own(tmp_path: Path) -> None:
    """Half of it is half the head of a run that sees whole films alone."""
    alone = ("augment.views=0", "prepare.side=64", "train.stages=[{refit=true}]")
    heads = {}
    for step in ("letterbox", 'film_and_lungs", failed="whole'):
        out = tmp_path / step[:4]
        experiment.run_recipe(
            small(*alone, f'prepare.steps=[{{step="{step}"}}]'), None, out, silent
        )
        heads[step[:4]] = model_folder.load_trained_model(out / "model").head
    (single, bias), (pair, mean) = (heads[name].layers[-1] for name in ("lett", "film"))
    width = single.shape[1]
    assert pair.shape[1] == 2 * width
    largest = np.abs(single).max()
    assert np.abs(2 * pair[:, :width] - single).max() < 0.03 * largest
    assert np.abs(2 * pair[:, width:] - single).max() > 0.5 * largest
    assert mean.shape == bias.shape
    history = pd.read_csv(tmp_path / "film" / "history.csv")
    assert list(history["stage"].unique()) == ["head, picture 1", "head, picture 2"]
    own = pd.read_csv(tmp_path / "film" / "predictions.csv")
    paths = [Path(path) for path in own["path"]]
    experiment.predict_files(tmp_path / "film" / "model", paths, tmp_path / "p.csv", silent)
    assert pd.read_csv(tmp_path / "p.csv")["p_normal"].equals(own["p_normal"])


@pytest.mark.slow
def test_several_seeds_stand_beside_each_other(tmp_path: Path) -> None:
    results = experiment.run_recipe(small("seeds=[0,1]"), None, tmp_path, silent)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert sorted(table["seed"].unique()) == [0, 1]
    assert results.split["seeds"] == [0, 1]


@pytest.mark.slow
def test_resume_does_no_fold_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hilum.experiment import fold

    plan, done, train_fold = small('split={kind="kfold",folds=3}'), [], fold.train_fold

    def dies(bench, split, key):
        if key.fold == 2 and len(done) == 2:
            done.append("killed")
            raise KeyboardInterrupt
        done.append(key.fold)
        return train_fold(bench, split, key)

    monkeypatch.setattr(fold, "train_fold", dies)
    with pytest.raises(KeyboardInterrupt):
        experiment.run_recipe(plan, None, tmp_path, silent)
    experiment.run_recipe(plan, None, tmp_path, silent, resume=True)
    assert done == [0, 1, "killed", 2]
    done.clear()
    with pytest.raises(KeyboardInterrupt):
        experiment.run_recipe(plan, None, tmp_path, silent)
    with pytest.raises(HilumError, match="--resume needs the recipe"):
        experiment.run_recipe(small("seeds=[1]"), None, tmp_path, silent, resume=True)


def test_one_failing_cell_keeps_the_others_and_is_listed(tmp_path: Path) -> None:
    plan = small('grid={"train.stages"=[[{}],[{optimiser="sgd",lr=1e38,epochs=3}]]}')
    results = experiment.run_recipe(plan, None, tmp_path, silent)
    assert len({score.cell for score in results.scores}) == 1
    assert "finite loss" in (tmp_path / "left_out.csv").read_text()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("model.backbone=resnet81", "resnet"),
        ('prepare.steps=[{step="leterbox"}]', "did you mean 'letterbox'"),
        ('classes=["covid19","tuberculosis"]', "got none of tuberculosis"),
        ('data=[{phantom={images=3, classes=["covid19","normal"]}}]', "at least"),
    ],
)
def test_impossible_recipes_are_refused(tmp_path: Path, change: str, sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        experiment.run_recipe(small(change), None, tmp_path, silent)
