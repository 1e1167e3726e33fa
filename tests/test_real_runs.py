"""The README's table and study 003's frozen arm on real images; minutes, so marked slow."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
HILUM = Path(sys.executable).with_name("hilum")


def scores(shared: Path, out: Path, *words: str) -> dict[tuple[str, str], dict[str, float]]:
    subprocess.run([HILUM, "run", *words, "--data", shared, "--out", out, "-q"], check=True)
    found = json.loads((out / "results.json").read_text())
    mine = [row for row in found["scores"] if row["cell"] == found["model"]["cell"]]
    return {(row["name"], row["class"]): row for row in mine}


def test_readme_table(shared: Path, tmp_path: Path) -> None:
    easy = scores(shared, tmp_path / "easy", "cohen_vs_nih")["auroc", "covid19"]
    honest = scores(shared, tmp_path / "honest", "within_cohen")["auroc", "covid19"]
    assert easy["value"] == pytest.approx(1.0, abs=0.003)
    assert honest["value"] == pytest.approx(0.743, abs=0.03)
    assert honest["high"] < easy["low"]
    verdict = json.loads((tmp_path / "easy" / "results.json").read_text())["verdict"]
    assert verdict.startswith("Do not trust")


def test_study_003_with_a_frozen_backbone(shared: Path, tmp_path: Path) -> None:
    backbone = ("--set", "model.backbone=tf_efficientnet_lite0")
    found = scores(shared, tmp_path / "z", "zhang2022", *backbone, "--quick")
    assert found["accuracy", "overall"]["n"] == 879
    assert found["accuracy", "overall"]["value"] >= 0.90
    assert found["f1", "macro"]["value"] >= 0.886
    results = json.loads((tmp_path / "z" / "results.json").read_text())
    assert results["split"]["leaks"] == []
    assert results["n"]["classes"] == {
        "covid19": 255,
        "normal": 234,
        "bacterial_pneumonia": 242,
        "viral_pneumonia": 148,
    }
    three = json.loads((tmp_path / "z" / "tasks" / "three_classes" / "results.json").read_text())
    assert three["n"]["classes"] == {"covid19": 255, "normal": 234, "pneumonia": 200}
    cells = {row["cell"] for row in results["scores"]}
    assert cells == {"frozen", "three_classes: frozen"}
    table = pd.read_csv(tmp_path / "z" / "predictions.csv")
    own = table[table["fold"] == results["model"]["fold"]]
    out = tmp_path / "p.csv"
    paths = list(own["path"].head(25))
    subprocess.run(
        [HILUM, "predict", tmp_path / "z" / "model", *paths, "--out", out, "-q"], check=True
    )
    columns = [name for name in own if name.startswith("p_")]
    again = pd.read_csv(out)[columns]
    assert again.equals(own[columns].head(25).reset_index(drop=True))
