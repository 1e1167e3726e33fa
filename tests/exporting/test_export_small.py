"""The small installation answers with an exported folder: no torch, no matplotlib, no scikit-learn.

`make release-check` installs it for real; here the packages that it lacks cannot be imported.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

import cv2
import pytest
from export_models import quiet

from hilum import files, phantom
from hilum.experiment.predict import predict_files
from hilum.exporting.export import lungs_for
from hilum.inference import exported as exported_model
from hilum.inference.model import TrainedModel
from hilum.preprocess.lungs import carried
from hilum.types import HilumError

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
sys.argv[:2] = ["hilum"]
from hilum.cli import main
main()
"""


def left_out() -> list[str]:
    """Modules of the packages that the small installation lacks, as they are imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    small = (ROOT / "requirements-runtime.txt").read_text(encoding="utf-8").splitlines()
    lacking = {
        re.split(r"[<>=]", line)[0]
        for line in project["project"]["dependencies"]
        if line not in small
    }
    known = packages_distributions()
    found = sorted(module for module, owners in known.items() if set(owners) <= lacking)
    assert {"torch", "matplotlib", "sklearn", "scipy", "pyarrow", "timm"} <= set(found)
    return found


@pytest.fixture(scope="module")
def asking(exported: Path, small: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that looks for lungs in every film that nothing else speaks against."""
    out = Path(shutil.copytree(exported, tmp_path_factory.mktemp("asking") / "export"))
    assert small.gate is not None
    digest = lungs_for(replace(small, gate=replace(small.gate, lungs=True)), out)
    record = json.loads((out / "model.json").read_text())
    part = record["exported"]
    limits = {"lungs_asked": True, "lungs_asked_above": -1.0, "distance_above": 9.0}
    part["abstention"] |= limits | {"pose_above": 1.0}
    part["lungs"] = digest
    part["files"] |= {name: files.sha256(out / name) for name in carried.NAMES}
    part[exported_model.RECORD] = exported_model.digest_of_record(record)
    (out / "model.json").write_text(json.dumps(record))
    return out


def predicted(
    folder: Path, films: list[Path], home: Path, hidden: list[str]
) -> subprocess.CompletedProcess[str]:
    """`hilum predict` in a process of its own with an empty cache."""
    home.mkdir()
    words = ["predict", str(folder), *map(str, films), "--out", str(home / "preds.csv")]
    return subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(hidden), *words],
        capture_output=True, text=True, check=False,
        env={"HILUM_CACHE": str(home / "cache"), "PATH": "/usr/bin:/bin", "HOME": str(home),
             "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip


def test_answers_and_lungs_are_the_same_bytes_without_torch(
    asking: Path, films: phantom.Phantom, tmp_path: Path
) -> None:
    paths = [tmp_path / "film.png", tmp_path / "noise.png"]
    large = cv2.resize(films.images[0], (256, 256))
    cv2.imwrite(str(paths[0]), large)
    cv2.imwrite(str(paths[1]), cv2.GaussianBlur(large, (0, 0), 40))
    predict_files(asking, paths, tmp_path / "whole.csv", quiet)
    done = predicted(asking, paths, tmp_path / "small", left_out())
    assert done.returncode == 0, done.stderr
    whole, small = tmp_path / "whole.csv", tmp_path / "small" / "preds.csv"
    assert small.read_bytes() == whole.read_bytes()
    assert "shows no pair of lungs" in whole.read_text()


def test_a_model_that_is_no_export_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    cv2.imwrite(str(film), phantom.generate(phantom.Request(images=2, size=96)).images[0])
    done = predicted(folder, [film], tmp_path / "small", left_out())
    assert done.returncode == 2
    assert re.search(r"^error: .*needs the package \w+; got .*run pip install hilum", done.stderr)
    assert "Traceback" not in done.stderr


def test_only_what_needs_lungs_carries_them(
    exported: Path, small: TrainedModel, tmp_path: Path
) -> None:
    assert lungs_for(small, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
    assert json.loads((exported / "model.json").read_text())["exported"]["lungs"] == ""


def test_lungs_of_another_version_are_said(asking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "find_spec", lambda name: None)
    with pytest.raises(HilumError, match="must be the one that this version of hilum has"):
        carried.adopt(asking, "0" * 32)
