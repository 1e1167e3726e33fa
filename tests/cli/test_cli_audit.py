"""hilum audit: a run, a model with and without images, images that have moved, and --strict."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from command_line import Done, Run, Trained

from hilum.audits import AUDITS
from hilum.experiment import evidence

KEYS = {"id", "status", "value", "low", "high", "rule", "reference", "sentence"}


@pytest.fixture(scope="module")
def few(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The same run elsewhere, its images too: what its manifest says is no longer true."""
    place = tmp_path_factory.mktemp("moved")
    run, data = place / "run", place / "new" / trained.data.name
    shutil.copytree(trained.folder, run)
    shutil.copytree(trained.data, data)
    table = pd.read_parquet(run / "manifest.parquet")
    gone = [str(Path("/nowhere") / Path(p).relative_to(trained.data.parent)) for p in table["path"]]
    table.assign(path=gone).to_parquet(run / "manifest.parquet")
    return Trained(run, place / "new", trained.done)


@pytest.mark.usefixtures("brief")
def test_a_run_is_audited_and_its_report_written(
    hilum: Run, trained: Trained, tmp_path: Path
) -> None:
    run = shutil.copytree(trained.folder, tmp_path / "run")  # its verdict will be another one
    done = hilum("audit", run, "--out", tmp_path / "a", "--json")
    assert done.code == 0, done.err
    results = json.loads((tmp_path / "a" / "results.json").read_text())
    assert results["verdict"] == done.json["verdict"]
    assert [set(row) >= KEYS for row in results["audits"]] == [True] * 5
    listed = pd.read_csv(tmp_path / "a" / "findings.csv")
    assert list(listed["id"]) == [row["id"] for row in results["audits"]]
    page = (tmp_path / "a" / "report.html").read_text()
    assert all(row["id"] in page for row in results["audits"])
    failed = any(row["status"] == "fail" for row in results["audits"])
    strict = hilum("audit", run, "--out", tmp_path / "a", "--strict", "-q")
    assert (strict.code, strict.out) == (int(failed), "")


def test_images_that_have_moved_are_found_again(few: Trained) -> None:
    def silent(name: str):
        return lambda done, total: None

    lost = evidence.read_audited_run(few.folder, None, silent)
    assert lost.evidence.stack is None
    assert len(lost.manifest.left_out) >= len(lost.evidence.manifest)
    assert "--data" in lost.manifest.left_out[-1].reason
    found = evidence.read_audited_run(few.folder, few.data, silent).evidence
    assert found.stack is not None
    assert found.features is not None
    assert len(found.features) == len(found.stack) == len(lost.evidence.manifest)
    assert found.seen.any()
    assert not found.seen.all()


def test_a_model_alone_passes_nothing(hilum: Run, model: Path, tmp_path: Path) -> None:
    words = ("audit", model, "--out", tmp_path / "m", "--strict", "--json")
    done: Done = hilum(*words)
    assert done.code == 0, done.err
    assert {row["id"] for row in done.json["audits"]} == set(AUDITS)
    severities = [AUDITS[row["id"]].rule.severity for row in done.json["audits"]]
    assert severities == sorted(severities, reverse=True)
    assert {row["status"] for row in done.json["audits"]} == {"unknown"}
    assert "--data" in done.json["audits"][0]["sentence"]
    assert done.json["verdict"].startswith("Nothing is known about this classifier")


def test_what_is_no_run_and_no_model_is_refused(hilum: Run, tmp_path: Path) -> None:
    done = hilum("audit", tmp_path, "--out", tmp_path / "out")
    assert done.code == 3
    assert "model.json" in done.err
    assert not (tmp_path / "out").exists()
