"""The whole pipeline on small synthetic films: every file, exact agreement, honest refusals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum import images, recipe, study
from hilum.data import phantom
from hilum.evaluate import model
from hilum.recipe import Recipe
from hilum.types import PREDICTION_COLUMNS, HilumError, MissingError, Results

FILES = (
    "recipe.toml",
    "manifest.parquet",
    "left_out.csv",
    "splits.csv",
    "history.csv",
    "predictions.csv",
    "results.json",
    "report.html",
    "model/model.json",
    "model/backbone.safetensors",
    "model/head.safetensors",
    "model/seen.csv",
)


def silent(name: str):
    return lambda done, total: None


def small(*changes: str) -> Recipe:
    """60 films of two classes, hold-out; about four seconds on one core."""
    data = 'data=[{phantom={images=60, size=128, seed=3, classes=["covid19","normal"]}}]'
    return recipe.load(
        "demo", changes=['classes=["covid19","normal"]', data, "model.weights=random", *changes]
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(out.parent / "cache"))
        return out, study.run(small(), None, out, silent)


def test_every_file_of_the_contract_is_there(finished: tuple[Path, Results]) -> None:
    out, _ = finished
    assert [name for name in FILES if not (out / name).is_file()] == []
    assert not (out / "work").exists()
    assert list((out / "figures").glob("*.png"))
    for figure in (out / "figures").glob("*.png"):
        assert figure.with_suffix(".csv").is_file(), figure


def test_results_json_has_the_contracts_keys(finished: tuple[Path, Results]) -> None:
    found = json.loads((finished[0] / "results.json").read_text())
    assert {
        "recipe",
        "mode",
        "classes",
        "n",
        "scores",
        "published",
        "audits",
        "verdict",
        "environment",
    } <= set(found)
    assert set(found["scores"][0]) == {
        "cell",
        "name",
        "class",
        "value",
        "k",
        "n",
        "low",
        "high",
        "method",
    }
    assert set(found["audits"][0]) >= {"id", "status", "value", "rule", "reference", "sentence"}
    assert found["classes"] == ["covid19", "normal"]
    assert "not for clinical use" in found["notice"].lower()


def test_predictions_have_the_contracts_columns(finished: tuple[Path, Results]) -> None:
    table = pd.read_csv(finished[0] / "predictions.csv")
    assert list(table.columns) == [*PREDICTION_COLUMNS, "p_covid19", "p_normal"]
    np.testing.assert_allclose(table[["p_covid19", "p_normal"]].sum(axis=1), 1, atol=1e-7)
    split = pd.read_csv(finished[0] / "splits.csv")
    tested = set(split.loc[split["part"] == "test", "sample_id"])
    assert set(table["sample_id"]) == tested


def test_predict_gives_exactly_the_runs_own_probabilities(
    finished: tuple[Path, Results], tmp_path: Path
) -> None:
    out, _ = finished
    own = pd.read_csv(out / "predictions.csv")
    backwards = [Path(p) for p in own["path"][::-1]]
    study.predict(out / "model", backwards, tmp_path / "all.csv", silent)
    study.predict(out / "model", backwards[3:4], tmp_path / "one.csv", silent)
    again = pd.read_csv(tmp_path / "all.csv").iloc[::-1].reset_index(drop=True)
    columns = ["p_covid19", "p_normal"]
    assert again[columns].equals(own[columns])
    assert list(again["path"]) == list(own["path"])
    alone = pd.read_csv(tmp_path / "one.csv")
    assert alone[columns].equals(again.iloc[::-1][columns].iloc[3:4].reset_index(drop=True))
    assert list(again.columns) == ["path", "label", *columns, "abstain", "reason"]


def test_evaluate_gives_exactly_the_runs_own_probabilities(
    finished: tuple[Path, Results], tmp_path: Path
) -> None:
    out, _ = finished
    own = pd.read_csv(out / "predictions.csv").set_index("sample_id").sort_index()
    study.evaluate(out / "model", out / "manifest.parquet", tmp_path, silent)
    tested = pd.read_csv(tmp_path / "predictions.csv").set_index("sample_id").sort_index()
    columns = ["p_covid19", "p_normal"]
    assert tested.loc[own.index, columns].equals(own[columns])
    assert (tmp_path / "report.html").is_file()


def test_evaluate_names_images_that_were_trained_on(
    finished: tuple[Path, Results], tmp_path: Path
) -> None:
    out, results = finished
    tested = study.evaluate(out / "model", out / "manifest.parquet", tmp_path, silent)
    twins = next(found for found in tested.audits if found.id == "C-11")
    parts = results.split["counts"]["fold 1"]
    assert twins.status == "fail"
    assert twins.value == parts["train"] + parts["validation"]


def test_unreadable_images_have_a_row_and_a_reason(
    finished: tuple[Path, Results], tmp_path: Path
) -> None:
    bad = tmp_path / "scan.png"
    bad.write_text("this is no image")
    good = Path(pd.read_csv(finished[0] / "predictions.csv")["path"][0])
    table, left_out = study.predict(finished[0] / "model", [bad, good], tmp_path / "p.csv", silent)
    assert table["abstain"][0]
    assert len(left_out) == 1
    assert table["p_normal"].isna().tolist() == [True, False]
    assert table["reason"][0]


def test_a_second_run_decodes_nothing_and_gives_the_same_numbers(tmp_path: Path) -> None:
    first = study.run(small(), None, tmp_path / "a", silent)
    second = study.run(small(), None, tmp_path / "b", silent)
    values = [[(s.name, s.class_, s.value) for s in found.scores] for found in (first, second)]
    assert repr(values[0]) == repr(values[1])
    bits = [(tmp_path / name / "model" / "head.safetensors").read_bytes() for name in "ab"]
    assert bits[0] == bits[1]


def test_kfold_tests_every_image_once_and_the_model_is_one_of_the_folds(tmp_path: Path) -> None:
    plan = small('split={kind="kfold",folds=3,validation=0.2}')
    results = study.run(plan, None, tmp_path, silent)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table["sample_id"].is_unique
    assert len(table) == results.n["images"] == 60
    mine = table[table["fold"] == results.model["fold"]]
    study.predict(tmp_path / "model", [Path(p) for p in mine["path"]], tmp_path / "p.csv", silent)
    again = pd.read_csv(tmp_path / "p.csv")
    assert (again["p_normal"].to_numpy() == mine["p_normal"].to_numpy()).all()


@pytest.mark.parametrize(
    ("stages", "head"),
    [
        ('[{optimiser="adam", epochs=5, lr=0.01}]', "mlp"),
        (
            '[{}, {name="all", trainable="all", optimiser="adamw", epochs=1, lr=1e-4, batch=16}]',
            "linear",
        ),
    ],
)
def test_other_stages_train_and_predict_exactly(tmp_path: Path, stages: str, head: str) -> None:
    plan = small(f"train.stages={stages}", f"model.head={head}")
    study.run(plan, None, tmp_path, silent)
    own = pd.read_csv(tmp_path / "predictions.csv")
    study.predict(tmp_path / "model", [Path(p) for p in own["path"]], tmp_path / "p.csv", silent)
    assert pd.read_csv(tmp_path / "p.csv")["p_normal"].equals(own["p_normal"])


def test_a_head_is_fitted_again_on_validation_images_as_well(tmp_path: Path) -> None:
    """Only the head changes: temperature and limits are those of the fit before."""
    alone = ("augment.views=0", "model.mirror=false")
    found = {}
    for refit in ("false", "true"):
        out = tmp_path / refit
        study.run(small(*alone, f"train.stages=[{{refit={refit}}}]"), None, out, silent)
        found[refit] = model.load(out / "model")
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


def test_several_seeds_stand_beside_each_other(tmp_path: Path) -> None:
    results = study.run(small("seeds=[0,1]"), None, tmp_path, silent)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert sorted(table["seed"].unique()) == [0, 1]
    assert results.split["seeds"] == [0, 1]


def test_resume_does_no_fold_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hilum.study import fold

    plan, done, run_fold = small('split={kind="kfold",folds=3}'), [], fold.run

    def dies(bench, split, key):
        if key.fold == 2 and len(done) == 2:
            done.append("killed")
            raise KeyboardInterrupt
        done.append(key.fold)
        return run_fold(bench, split, key)

    monkeypatch.setattr(fold, "run", dies)
    with pytest.raises(KeyboardInterrupt):
        study.run(plan, None, tmp_path, silent)
    study.run(plan, None, tmp_path, silent, resume=True)
    assert done == [0, 1, "killed", 2]
    done.clear()
    with pytest.raises(KeyboardInterrupt):
        study.run(plan, None, tmp_path, silent)
    with pytest.raises(HilumError, match="--resume wants the recipe"):
        study.run(small("seeds=[1]"), None, tmp_path, silent, resume=True)


def test_one_failing_cell_keeps_the_others_and_is_listed(tmp_path: Path) -> None:
    plan = small('grid={"train.stages"=[[{}],[{optimiser="sgd",lr=1e38,epochs=3}]]}')
    results = study.run(plan, None, tmp_path, silent)
    assert len({score.cell for score in results.scores}) == 1
    assert "finite loss" in (tmp_path / "left_out.csv").read_text()


def test_missing_data_and_models_are_exit_code_3(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="needs the dataset 'cohen'; got no --data"):
        study.run(recipe.load("zhang2022"), None, tmp_path, silent)
    with pytest.raises(MissingError, match="model folder holds"):
        study.predict(tmp_path, [tmp_path], tmp_path / "p.csv", silent)


def test_predict_wants_images_that_exist(finished: tuple[Path, Results], tmp_path: Path) -> None:
    model = finished[0] / "model"
    with pytest.raises(MissingError, match="does not exist"):
        study.predict(model, [tmp_path / "nothing.png"], tmp_path / "p.csv", silent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(HilumError, match="at least one image"):
        study.predict(model, [tmp_path / "empty"], tmp_path / "p.csv", silent)


def test_a_damaged_model_folder_is_refused(finished: tuple[Path, Results], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(finished[0] / "model", copy)
    head = copy / "head.safetensors"
    head.write_bytes(head.read_bytes()[:100])
    with pytest.raises(HilumError, match="must be readable"):
        study.predict(copy, [finished[0] / "data"], tmp_path / "p.csv", silent)


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
        study.run(small(change), None, tmp_path, silent)


def test_phantom_shortcut_is_condemned(tmp_path: Path) -> None:
    """The dial that ties hospital to label must show in the verdict."""
    data = (
        'data=[{phantom={images=80, size=128, seed=3, shortcut=1.0, classes=["covid19","normal"]}}]'
    )
    results = study.run(small(data), None, tmp_path, silent)
    assert next(found for found in results.audits if found.id == "C-02").status == "fail"
    assert results.verdict.startswith(("Do not trust", "This classifier has learnt nothing"))
    assert phantom.CLASSES


def test_a_refused_run_leaves_no_empty_folder(tmp_path: Path) -> None:
    from hilum.study import outputs

    with pytest.raises(MissingError), outputs.swept(tmp_path / "out"):
        study.run(recipe.load("zhang2022"), None, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(MissingError), outputs.swept(tmp_path / "mine"):
        study.run(recipe.load("zhang2022"), None, tmp_path / "mine", silent)
    assert (tmp_path / "mine").exists()
