"""Folds in processes of their own leave the same bytes as folds one after another."""

import json
from pathlib import Path
from typing import Any

import pytest

from hilum import recipes
from hilum.experiment import tasks
from hilum.files.worker import silent
from hilum.recipes import Recipe

pytestmark = pytest.mark.usefixtures("few_audits", "no_report")

DATA = 'data=[{phantom={images=32, size=64, seed=3, classes=["covid19","normal"]}}]'
TUNED = '{name="all", trainable="all", optimiser="adamw", epochs=2, lr=1e-3, batch=8}'
STAGES = f'grid={{"train.stages"=[[{{}}],[{{}}, {TUNED}]]}}'
SOURCE = (
    'source={classes=["normal","bacterial_pneumonia"], least_auroc=0.0, '
    'data=[{phantom={images=24, size=64, seed=9, classes=["normal","bacterial_pneumonia"]}}], '
    f'train={{balance="none", stages=[{{}}, {TUNED}]}}}}'
)


def plan(*changes: str) -> Recipe:
    network = ["model.backbone=test_efficientnet", "model.weights=random", "prepare.side=64"]
    base = ['classes=["covid19","normal"]', DATA, *network, "augment.views=1", "figures=[]"]
    return recipes.load("demo", changes=[*base, "seeds=[0, 1]", *changes])


def kept(out: Path) -> dict[str, Any]:
    """Every file of a run: its bytes, of JSON what does not depend on time."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        found[name] = path.read_bytes()
        if name == "results.json":
            found[name] = {**json.loads(found[name]), "environment": None}
    return found


@pytest.mark.parametrize("changes", [(STAGES,), (SOURCE, "split={kind='kfold',folds=2}")])
def test_the_same_bytes_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: tuple[str, ...]
) -> None:
    written = []
    for workers in (1, 2):
        monkeypatch.setenv("HILUM_CACHE", str(tmp_path / f"cache{workers}"))  # nothing is found
        tasks.run_into(plan(*changes), None, tmp_path / "out", silent, workers=workers)
        (tmp_path / "out").rename(tmp_path / f"out{workers}")
        written.append(kept(tmp_path / f"out{workers}"))
    first, second = written
    assert {"predictions.csv", "model/backbone.safetensors", "results.json"} <= set(first)
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []
