"""Homologous transfer on small films: taught first, kept apart, reported, refused when too weak."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum import experiment, files, phantom, recipes
from hilum.data import source_images
from hilum.experiment import source_task
from hilum.experiment.context import StoredPixels
from hilum.experiment.source_task import SourceTask
from hilum.recipes import Recipe
from hilum.types import HilumError, Manifest

pytestmark = pytest.mark.usefixtures("few_audits", "no_report")

LITE0 = "tf_efficientnet_lite0"
TARGET = 'data=[{phantom={images=40, size=96, seed=3, classes=["covid19","normal"]}}]'
STAGES = '[{}, {name="all", trainable="all", optimiser="adamw", epochs=1, lr=1e-4, batch=16}]'
FILMS = '{phantom={images=30, size=96, seed=9, classes=["normal","bacterial_pneumonia"]}}'


def silent(name: str):
    return lambda done, total: None


def plan(films: str = FILMS, more: str = "") -> Recipe:
    source = (
        f'source_task={{classes=["normal","bacterial_pneumonia"], data=[{films}], least_auroc=0.0, '
        f'train={{balance="none", stages={STAGES}}}{more}}}'
    )
    return recipes.load_recipe(
        "demo",
        changes=[
            'classes=["covid19","normal"]',
            TARGET,
            "model.backbone=test_efficientnet",
            "model.weights=random",
            "augment.views=0",
            "prepare.side=96",
            source,
        ],
    )


def test_the_backbone_is_taught_first_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = experiment.run_recipe(plan(), None, tmp_path, silent)
    kept = [*(files.cache_home() / "source_tasks").glob("*/*")]
    assert source_task.DONE in {path.name for path in kept}
    monkeypatch.setattr(source_images, "MOST_BYTES", 0)
    source_images.open_source_images().sweep()  # of decoded films alone
    assert all(path.exists() for path in kept)
    record = json.loads((tmp_path / "model" / "model.json").read_text())
    assert record["backbone"]["origin"].startswith("tuned from random")
    lineage = results.model["lineage"]
    assert lineage["classes"] == ["normal", "bacterial_pneumonia"]
    cells = {score.cell for score in results.scores}
    assert cells == {"main", "main: source"}
    history = pd.read_csv(tmp_path / "history.csv")
    assert set(history["cell"]) == {"main", "main: source"}
    own = pd.read_csv(tmp_path / "predictions.csv")
    experiment.predict_files(
        tmp_path / "model", [Path(p) for p in own["path"]], tmp_path / "p.csv", silent
    )
    assert pd.read_csv(tmp_path / "p.csv")["p_normal"].equals(own["p_normal"])


@pytest.mark.slow
def test_a_source_that_was_trained_before_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = experiment.run_recipe(plan(), None, tmp_path / "a", silent)
    monkeypatch.setattr(source_task, "_train", None)  # calling it would fail
    second = experiment.run_recipe(plan(), None, tmp_path / "b", silent)
    assert repr([s.value for s in first.scores]) == repr([s.value for s in second.scores])


@pytest.mark.slow
def test_seeds_stand_on_one_source_model_where_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, taught = source_task._train, []

    def counted(*about: object) -> None:
        taught.append(about)
        train(*about)  # type: ignore[arg-type]

    monkeypatch.setattr(source_task, "_train", counted)
    for more, seeds in ((", once=true", [101, 102]), ("", [101])):  # the second finds the first's
        experiment.run_recipe(
            plan(more=more).model_copy(update={"seeds": seeds}), None, tmp_path, silent
        )
        assert len(taught) == 1


def test_a_source_that_has_learnt_too_little_is_refused(tmp_path: Path) -> None:
    strict = plan().model_copy(deep=True)
    task = strict.source_task.model_copy(update={"least_auroc": 1.0})  # type: ignore[union-attr]
    with pytest.raises(HilumError, match=r"AUROC of at least 1\.0; got 0\."):
        experiment.run_recipe(
            strict.model_copy(update={"source_task": task}), None, tmp_path, silent
        )


@pytest.mark.parametrize(
    ("flipped", "said"),
    [(False, "train it longer"), (True, "labels may be inverted")],
)
def test_worse_than_chance_names_inverted_labels(tmp_path: Path, flipped: bool, said: str) -> None:
    p = [0.9, 0.6, 0.4, 0.45, 0.55, 0.3] if not flipped else [0.1, 0.4, 0.6, 0.5, 0.2, 0.7]
    labels = ["normal", "normal", "normal", "bacterial_pneumonia"] + ["bacterial_pneumonia"] * 2
    table = pd.DataFrame({"label": labels, "p_normal": p, "p_bacterial_pneumonia": 1 - np.array(p)})
    ids = [f"i{i}" for i in range(6)]
    table = table.assign(cell="source", sample_id=ids, path=ids, patient_id=ids, source="s")
    table.assign(fold=0, seed=0).to_parquet(tmp_path / "predictions.parquet")
    (tmp_path / "done").touch()
    recipe = plan()
    assert recipe.source_task is not None
    own = source_task.as_recipe(recipe, recipe.source_task)
    pixels = StoredPixels(tmp_path, (6, 8, 8), tuple(ids), "")
    task = SourceTask(own, 0.99, Manifest(table), pixels, table[["sample_id"]], 0, tmp_path)
    with pytest.raises(HilumError, match=said):
        source_task.fit_source_task(task, silent)


def test_what_the_target_holds_is_kept_out_unless_the_leak_is_asked_for(tmp_path: Path) -> None:
    """The same films in both tasks: apart trains on none of them, together shows the leak."""
    dials = phantom.Request(images=40, size=96, seed=3, classes=("covid19", "normal"))
    target = phantom.write_phantom(dials, tmp_path / "target").table  # as the plan's
    folder = tmp_path / "both"
    for name in ("normal", "covid19"):
        (folder / name).mkdir(parents=True)
        for path in target.loc[target["label"] == name, "path"]:
            (folder / name / Path(path).name).write_bytes(Path(path).read_bytes())
    films = f'{FILMS}, {{path="{folder}", rename={{covid19="bacterial_pneumonia"}}}}'
    apart = experiment.run_recipe(plan(films), None, tmp_path / "apart", silent)
    together = experiment.run_recipe(
        plan(films, ", exclude_target=false"), None, tmp_path / "together", silent
    )
    assert apart.model["lineage"]["shared_with_target"] == 0
    assert together.model["lineage"]["shared_with_target"] > 0
    found = {finding.id: finding.status for finding in together.audits}
    assert found["C-11"] == "fail"
    assert {finding.id: finding.status for finding in apart.audits}["C-11"] == "pass"


@pytest.mark.slow
def test_a_source_that_is_switched_off_is_an_arm_without_it(tmp_path: Path) -> None:
    results = experiment.run_recipe(plan(more=", enabled=false"), None, tmp_path, silent)
    assert {score.cell for score in results.scores} == {"main"}
    assert results.model["lineage"] == "no source task"


@pytest.mark.slow
def test_a_frozen_network_beside_the_taught_one(tmp_path: Path) -> None:
    both = recipes.parse_recipe(
        recipes.as_tree(plan())
        | {"model": {**recipes.as_tree(plan())["model"], "auxiliary_backbones": [LITE0]}}
    )
    results = experiment.run_recipe(both, None, tmp_path, silent)
    record = json.loads((tmp_path / "model" / "model.json").read_text())["backbone"]
    assert record["origin"].startswith("tuned from random")
    assert "package" in record["beside"][0]["origin"]
    assert results.model["beside"] == [LITE0]
    own = pd.read_csv(tmp_path / "predictions.csv")
    experiment.predict_files(
        tmp_path / "model", [Path(p) for p in own["path"]], tmp_path / "p.csv", silent
    )
    assert pd.read_csv(tmp_path / "p.csv")["p_normal"].equals(own["p_normal"])


def test_what_stands_beside_is_not_trained() -> None:
    tuned = recipes.load_recipe(
        "demo", changes=[f'model.beside=["{LITE0}"]', f"train.stages={STAGES}"]
    )
    with pytest.raises(
        HilumError, match=r"'model.auxiliary_backbones': auxiliary networks are froz"
    ):
        experiment.run_recipe(tuned, None, Path("nowhere"), silent)
