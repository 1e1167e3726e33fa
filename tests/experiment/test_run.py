"""The whole pipeline on small synthetic films: every file, exact agreement, honest refusals."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum import experiment, recipes
from hilum.audits import AUDITS, Evidence
from hilum.recipes import Recipe
from hilum.types import PREDICTION_COLUMNS, Finding, HilumError, MissingError, Results

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
    "model/seen_patients.csv",
    "model/seen_films.csv",
)


def silent(name: str):
    return lambda done, total: None


def small() -> Recipe:
    """60 films of two classes, hold-out, a network of timm's for tests."""
    data = 'data=[{phantom={images=60, size=128, seed=3, classes=["covid19","normal"]}}]'
    network = ["model.backbone=test_efficientnet", "model.weights=random", "prepare.side=96"]
    return recipes.load_recipe("demo", changes=['classes=["covid19","normal"]', data, *network])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        for name, row in AUDITS.items():
            patch.setitem(AUDITS, name, replace(row, check=noted(name, row.check)))
        return out, experiment.run_recipe(small(), None, out, telling)


STEPS: list[str] = []  # of the finished run, and the audits that it asked, in order


def telling(name: str):
    STEPS.append(name)
    return lambda done, total: None


def noted(name: str, answer: Callable[[Evidence], Finding]) -> Callable[[Evidence], Finding]:
    def ask(evidence: Evidence) -> Finding:
        STEPS.append(name)
        return answer(evidence)

    return ask


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
        "stamp",
        "over",
    }
    assert set(found["audits"][0]) >= {"id", "status", "value", "rule", "reference", "sentence"}
    assert found["classes"] == ["covid19", "normal"]
    assert "not for clinical use" in found["notice"].lower()


def test_audits_of_the_images_come_before_training_and_none_twice(
    finished: tuple[Path, Results],
) -> None:
    """What needs no model is known before one is trained; leaks are free and looked at again."""
    early = [name for name, row in AUDITS.items() if row.rule.before_training]
    assert early == ["C-02", "C-03", "C-04", "C-09", "C-10", "C-11"]
    asked = [step for step in STEPS if step in AUDITS]
    first = next(i for i, step in enumerate(STEPS) if step.startswith("folds of"))
    assert STEPS.index("decode and prepare") < STEPS.index("C-02") < first
    assert [step for step in STEPS[:first] if step in AUDITS] == early
    assert {name: asked.count(name) for name in early} == {
        name: 2 if name in ("C-10", "C-11") else 1 for name in early
    }
    later = [name for name in asked[len(early) :] if name not in ("C-10", "C-11")]
    assert len(set(later)) == len(later)
    assert {finding.id for finding in finished[1].audits} == set(asked)


def test_every_figure_bears_what_the_audits_of_its_images_say(
    finished: tuple[Path, Results],
) -> None:
    out, results = finished
    alone = [found for found in results.audits if AUDITS[found.id].rule.before_training]
    words = [
        f"{one}: {', '.join(found.id for found in alone if found.status == one)}"
        for one in ("fail", "warn", "unknown")
        if one in {found.status for found in alone}
    ]
    (stamp,) = {row["stamp"] for row in json.loads((out / "results.json").read_text())["scores"]}
    assert stamp == ("; ".join(words) or "pass")
    assert f"Audits of the images alone: {stamp}." in (out / "report.html").read_text()


def test_predictions_have_the_contracts_columns(finished: tuple[Path, Results]) -> None:
    table = pd.read_csv(finished[0] / "predictions.csv")
    assert list(table.columns) == [*PREDICTION_COLUMNS, "p_covid19", "p_normal"]
    np.testing.assert_allclose(table[["p_covid19", "p_normal"]].sum(axis=1), 1, atol=1e-7)
    split = pd.read_csv(finished[0] / "splits.csv")
    tested = set(split.loc[split["part"] == "test", "sample_id"])
    assert set(table["sample_id"]) == tested


def test_films_without_lungs_stand_beside_the_probabilities_of_the_test(
    finished: tuple[Path, Results],
) -> None:
    out, _ = finished
    kept = np.load(out / "blacked_out.npz")
    own = pd.read_csv(out / "predictions.csv").set_index("sample_id")
    assert set(kept["label"]) == {"covid19", "normal"}
    for name, said, p in zip(kept["sample_id"], kept["said"], kept["whole"], strict=True):
        assert own.loc[name, f"p_{said}"] == pytest.approx(p, abs=1e-7)
    whole, dark = kept["whole"], kept["dark"]
    assert not np.array_equal(whole, dark)
    same = kept["said"] == kept["dark_said"]
    assert (kept["dark_p"][same] == dark[same]).all()
    assert (kept["dark_p"] >= 0.5).all()  # of two classes the answer is the likelier one
    assert (out / "figures" / "blacked.png").is_file()


def test_predict_gives_exactly_the_runs_own_probabilities(
    finished: tuple[Path, Results], tmp_path: Path
) -> None:
    out, _ = finished
    own = pd.read_csv(out / "predictions.csv")
    backwards = [Path(p) for p in own["path"][::-1]]
    experiment.predict_files(out / "model", backwards, tmp_path / "all.csv", silent)
    experiment.predict_files(out / "model", backwards[3:4], tmp_path / "one.csv", silent)
    again = pd.read_csv(tmp_path / "all.csv").iloc[::-1].reset_index(drop=True)
    columns = ["p_covid19", "p_normal"]
    assert again[columns].equals(own[columns])
    assert list(again["path"]) == list(own["path"])
    alone = pd.read_csv(tmp_path / "one.csv")
    assert alone[columns].equals(again.iloc[::-1][columns].iloc[3:4].reset_index(drop=True))
    flags = ["abstain", "reason", "seen", "new_source"]
    assert list(again.columns) == ["path", "label", *columns, *flags]


def test_evaluate_gives_the_runs_own_probabilities_and_names_what_was_trained_on(
    finished: tuple[Path, Results], tmp_path: Path
) -> None:
    out, results = finished
    own = pd.read_csv(out / "predictions.csv").set_index("sample_id").sort_index()
    tested = experiment.evaluate_model(out / "model", out / "manifest.parquet", tmp_path, silent)
    table = pd.read_csv(tmp_path / "predictions.csv").set_index("sample_id").sort_index()
    columns = ["p_covid19", "p_normal"]
    assert table.loc[own.index, columns].equals(own[columns])
    assert (tmp_path / "report.html").is_file()
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
    answers = experiment.predict_files(
        finished[0] / "model", [bad, good], tmp_path / "p.csv", silent
    )
    table, left_out = answers.table, answers.left_out
    assert table["abstain"][0]
    assert len(left_out) == 1
    assert table["p_normal"].isna().tolist() == [True, False]
    assert table["reason"][0]


def test_missing_data_and_models_are_exit_code_3(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="needs the dataset 'cohen'; got no --data"):
        experiment.run_recipe(recipes.load_recipe("zhang2022"), None, tmp_path, silent)
    with pytest.raises(MissingError, match="model folder contains"):
        experiment.predict_files(tmp_path, [tmp_path], tmp_path / "p.csv", silent)


def test_predict_wants_images_that_exist(finished: tuple[Path, Results], tmp_path: Path) -> None:
    model = finished[0] / "model"
    with pytest.raises(MissingError, match="does not exist"):
        experiment.predict_files(model, [tmp_path / "nothing.png"], tmp_path / "p.csv", silent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(HilumError, match="at least one image"):
        experiment.predict_files(model, [tmp_path / "empty"], tmp_path / "p.csv", silent)


def test_a_damaged_model_folder_is_refused(finished: tuple[Path, Results], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(finished[0] / "model", copy)
    head = copy / "head.safetensors"
    head.write_bytes(head.read_bytes()[:100])
    with pytest.raises(HilumError, match="must be readable"):
        experiment.predict_files(copy, [finished[0] / "data"], tmp_path / "p.csv", silent)


def refuse_after(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.touch()
    raise HilumError("no such device")


def test_what_says_only_what_was_begun_goes_with_a_refusal(tmp_path: Path) -> None:
    from hilum.experiment import outputs

    for name, stays in (
        ("work/basis.parquet", False),
        ("work/recipe.toml", False),
        (".parts/shard-begun.reading", False),
        ("work/fold/predictions.parquet", True),
    ):
        out = tmp_path / Path(name).stem
        with pytest.raises(HilumError), outputs.removing_empty_on_failure(out):
            refuse_after(out / name)
        assert out.exists() == stays, name


def test_a_refused_run_leaves_no_empty_folder(tmp_path: Path) -> None:
    from hilum.experiment import outputs

    with pytest.raises(MissingError), outputs.removing_empty_on_failure(tmp_path / "out"):
        experiment.run_recipe(recipes.load_recipe("zhang2022"), None, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(MissingError), outputs.removing_empty_on_failure(tmp_path / "mine"):
        experiment.run_recipe(recipes.load_recipe("zhang2022"), None, tmp_path / "mine", silent)
    assert (tmp_path / "mine").exists()
