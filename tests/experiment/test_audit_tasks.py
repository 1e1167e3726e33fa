"""Audits as tasks find what audits in one process find, and write the same files."""

import json
from pathlib import Path

import pytest
from kept_files import kept
from pickling import PicklingExecutor

import hilum
from hilum import audits, recipes
from hilum.audits import AUDITS
from hilum.experiment import run
from hilum.experiment.run import RunOptions
from hilum.progress import silent

DATA = 'data=[{phantom={images=48, size=64, seed=3, classes=["covid19","normal"]}}]'
NETWORK = ["model.backbone=test_efficientnet", "model.weights=random", "prepare.side=64"]


def finished(folder: Path, options: RunOptions) -> Path:
    """A run's folder, with every audit of runs."""
    changes = ['classes=["covid19","normal"]', DATA, *NETWORK, "augment.views=0", "figures=[]"]
    run.run_task(recipes.load_recipe("demo", changes=changes), None, folder, silent, options)
    return folder


def test_audits_share_what_they_compute() -> None:
    names = [*AUDITS]
    groups = audits.groups(names)
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert {"C-06", "C-07", "C-08"} in [set(group) for group in groups]
    expensive = {name for name in names if AUDITS[name].rule.expensive}
    assert all(len(group) == 1 for group in groups if expensive & set(group))
    assert "C-17" in groups[-1]  # what only reads predictions comes last


def test_a_run_has_the_same_bytes(tmp_path: Path) -> None:
    executor = PicklingExecutor()
    out = tmp_path / "out"  # the phantom's films lie there
    alone = kept(finished(out, RunOptions(report=False)).rename(tmp_path / "one"))
    shared = kept(finished(out, RunOptions(report=False, executor=executor)))
    assert len(executor.tasks) > 4
    assert {"results.json", "model/model.json"} <= set(alone)
    assert list(alone) == list(shared)
    assert [name for name in alone if alone[name] != shared[name]] == []


@pytest.mark.slow
def test_audit_by_processes_finds_the_same(tmp_path: Path) -> None:
    """The expensive ones too."""
    out = finished(tmp_path / "run", RunOptions())
    told = []
    for workers in (1, 2):
        folder = tmp_path / f"audit{workers}"
        hilum.audit(out, folder, workers=workers)
        record = json.loads((folder / "results.json").read_text())
        told.append(record["audits"])
    assert len(told[0]) == len(AUDITS)
    assert told[0] == told[1]
