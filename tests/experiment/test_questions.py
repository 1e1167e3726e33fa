"""Arms and tasks in a run: every cell once, also after a kill; tasks are runs of their own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilum import experiment, recipes, report
from hilum.experiment import fold, source_task
from hilum.recipes import Recipe
from hilum.types import PREDICTION_COLUMNS, Results

pytestmark = pytest.mark.usefixtures("few_audits", "undrawn")

ARMS = "arms={plain={}, wide={model={head='mlp', hidden=8}, train={stages=[{optimiser='adam', epochs=2}]}}}"  # fmt: skip  # noqa: E501
MERGED = 'rename={bacterial_pneumonia="pneumonia", viral_pneumonia="pneumonia"}'


def silent(name: str):
    return lambda done, total: None


def films(folder: Path, counts: dict[str, int], seed: int) -> Path:
    """Grey noise in class folders: nothing to learn, but quick, and no two films are alike."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            grey = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(grey).resize((64, 64)).save(folder / name / f"{seed}-{i}.png")
    return folder


def plan(folder: Path, *changes: str) -> Recipe:
    network = ["model.backbone=test_efficientnet", "model.weights=random", "prepare.side=64"]
    return recipes.load_recipe(
        "demo",
        changes=[
            f'data=[{{path="{folder}"}}]',
            *network,
            "augment.views=0",
            "figures=[]",
            *changes,
        ],
    )


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results, list[str], list[str]]:
    """Two arms, a task with the same arms and one that fails; killed in the task's second cell."""
    out = tmp_path_factory.mktemp("run")
    counts = {"covid19": 16, "normal": 16, "bacterial_pneumonia": 12, "viral_pneumonia": 12}
    folder = films(out.parent / "noise", counts, seed=1)
    merged = f'data=[{{path="{folder}", {MERGED}, take={{pneumonia=16}}}}]'
    number = 'published=[{where="Table 4", name="accuracy", value=0.9}]'
    wanted = plan(
        folder,
        "classes=['covid19', 'normal', 'bacterial_pneumonia', 'viral_pneumonia']",
        'published=[{where="Table 3", name="accuracy", value=0.8}]',
        ARMS,
        f"tasks.three={{title='Three of them', classes=['covid19', 'normal', 'pneumonia'], {merged}, {number}}}",  # noqa: E501
        "tasks.absent.data=[{card='mendeley'}]",
    )
    done: list[str] = []
    said: list[str] = []
    train_fold = fold.train_fold

    def dies_once(bench: Any, split: Any, key: Any) -> Any:
        if len(done) == 3:
            done.append("killed")
            raise KeyboardInterrupt
        done.append(f"{bench.recipe.name} {key.cell}")
        return train_fold(bench, split, key)

    def tell(name: str):
        said.append(name)
        return lambda done, total: None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "train_fold", dies_once)
        with pytest.raises(KeyboardInterrupt):
            experiment.run_recipe(wanted, None, out, tell)
        experiment.run_recipe(wanted, None, out, tell, resume=True)
        again = experiment.run_recipe(wanted, None, out, tell, resume=True)
    return out, again, done, said


def test_no_cell_of_a_killed_run_is_done_twice(resumed: Any) -> None:
    _, _, done, said = resumed
    three = "demo-three"
    assert done == ["demo plain", "demo wide", f"{three} plain", "killed", f"{three} wide"]
    assert any(step.startswith("three: folds of wide") for step in said)


def test_a_task_is_a_complete_run_of_its_own(resumed: Any) -> None:
    out, _, _, _ = resumed
    folder = out / "tasks" / "three"
    for name in ("recipe.toml", "results.json", "predictions.csv", "report.html"):
        assert (folder / name).is_file(), name
    assert (folder / "model" / "model.json").is_file()
    assert not (folder / "work").exists()
    assert not (out / "work").exists()
    found = json.loads((folder / "results.json").read_text())
    assert found["classes"] == ["covid19", "normal", "pneumonia"]
    assert found["n"]["classes"] == {"covid19": 16, "normal": 16, "pneumonia": 16}
    assert {row["cell"] for row in found["scores"]} == {"plain", "wide"}
    assert recipes.load_recipe(str(folder / "recipe.toml")).name == "demo-three"


def test_the_main_results_hold_the_tasks_scores_and_numbers(resumed: Any) -> None:
    out, results, _, _ = resumed
    cells = ["plain", "wide", "three: plain", "three: wide"]
    assert list(dict.fromkeys(row.cell for row in results.scores)) == cells
    own = json.loads((out / "tasks" / "three" / "results.json").read_text())
    told = json.loads((out / "results.json").read_text())
    theirs = [{**row, "cell": f"three: {row['cell']}"} for row in own["scores"]]
    assert [row for row in told["scores"] if row["cell"].startswith("three: ")] == theirs
    assert [row["where"] for row in told["published"]] == ["Table 3", "three: Table 4"]
    assert told["published"][1] == {**own["published"][0], "where": "three: Table 4"}
    assert told["published"][1]["measured"] is not None
    assert set(pd.read_csv(out / "predictions.csv")["cell"]) == {"plain", "wide"}
    assert recipes.tasks(recipes.load_recipe(str(out / "recipe.toml"))).keys() == {
        "three",
        "absent",
    }


def test_a_task_that_fails_is_listed_and_the_others_stay(resumed: Any) -> None:
    out, results, _, _ = resumed
    assert [(task["name"], task["reason"] is None) for task in results.tasks] == [
        ("three", True),
        ("absent", False),
    ]
    assert "needs the dataset 'mendeley'; got no --data" in results.tasks[1]["reason"]
    assert [row["what"] for row in results.model["failed"]] == ["task absent"]
    table = pd.read_csv(out / "left_out.csv")
    assert list(table["what"]).count("task absent") == 1
    assert not (out / "tasks" / "absent").exists()


def test_the_report_lists_the_further_questions_apart_from_its_own_cells(resumed: Any) -> None:
    page = (resumed[0] / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="questions">') : page.index('<section id="data">')]
    assert "Three of them" in section
    assert 'href="tasks/three/report.html"' in section
    assert "Accuracy" in section
    assert "AUROC, macro" in section
    assert "95% interval" in section
    assert "needs the dataset" in section
    ranked = page[page.index("All models of this run") : page.index('<section id="curves">')]
    assert "three: " not in ranked.split("Models that could not be run")[0]
    alone = (resumed[0] / "tasks" / "three" / "report.html").read_text(encoding="utf-8")
    assert '<section id="questions">' not in alone


@pytest.mark.slow
def test_a_task_on_the_main_questions_images_finds_its_source_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Films that only the main question holds stay out of the task's source training as well."""
    target = films(tmp_path / "target", {"covid19": 16, "normal": 16}, seed=2)
    other = films(tmp_path / "other", {"normal": 16, "bacterial_pneumonia": 16}, seed=3)
    for film in (target / "normal").iterdir():
        (other / "normal" / film.name).write_bytes(film.read_bytes())
    taught = (
        'source={classes=["normal", "bacterial_pneumonia"], least_auroc=0.0, '
        f'data=[{{path="{other}"}}]}}'
    )
    part = f'tasks.part.data=[{{path="{target}", take={{normal=10}}}}]'
    calls = {"learn": 0, "train": 0}
    learn, train = source_task.read_back, source_task._train

    def counted(name: str, call: Any) -> Any:
        def wrapped(*given: Any) -> Any:
            calls[name] += 1
            return call(*given)

        return wrapped

    monkeypatch.setattr(report, "build_report", lambda folder: folder / "report.html")
    monkeypatch.setattr(source_task, "read_back", counted("learn", learn))
    monkeypatch.setattr(source_task, "_train", counted("train", train))
    experiment.run_recipe(plan(target, "classes=['covid19', 'normal']", taught, part), None, tmp_path / "out", silent)  # fmt: skip  # noqa: E501
    assert calls == {"learn": 2, "train": 1}  # one per question; trained by the first
    for folder in (tmp_path / "out", tmp_path / "out" / "tasks" / "part"):
        table = pd.read_csv(folder / "source_predictions.csv")
        classes = ["p_normal", "p_bacterial_pneumonia"]
        assert list(table.columns) == [*PREDICTION_COLUMNS, *classes]
        assert set(table["cell"]) == {"main: source"}
        assert all(Path(path).is_file() for path in table["path"])
        results = json.loads((folder / "results.json").read_text())
        scored = {(r["cell"], r["name"], r["class"]): r for r in results["scores"]}
        right = (table[classes].idxmax(axis=1) == "p_" + table["label"]).sum()
        assert scored["main: source", "accuracy", "overall"]["k"] == right
        assert results["model"]["lineage"]["shared_with_target"] == 0
