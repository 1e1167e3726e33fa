"""Published numbers beside ours, at thresholds too."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from hilum import images, recipes
from hilum.data import manifest as manifests
from hilum.datasets.tally import Tally
from hilum.experiment import outputs, published, summary
from hilum.recipes import PublishedNumber
from hilum.report import sections
from hilum.report.run_folder import RunFolder
from hilum.types import LeftOut


def predictions(seeds: int = 1) -> pd.DataFrame:
    """100 positives and 3,000 negatives of which so many lie at or above each threshold."""
    p = np.concatenate([np.linspace(0.0995, 0.9995, 100), np.linspace(0, 0.3, 3000)])
    table = pd.DataFrame({"p_covid19": p, "label": ["covid19"] * 100 + ["non_covid"] * 3000})
    parts = [table.assign(seed=seed, cell="text") for seed in range(seeds)]
    return pd.concat([*parts, table.assign(seed=0, cell="upstream", p_covid19=1.0)])


@pytest.mark.parametrize("seeds", [1, 3])
def test_table_1_of_study_004_is_compared_at_its_thresholds(seeds: int) -> None:
    """k of n counted by hand, Wilson's interval by statsmodels."""
    numbers = recipes.load_recipe("yamani2021").published
    found = published.compare_with_paper(numbers, [], "text", predictions(seeds), 0)
    assert [row.threshold for row in found] == [0.1, 0.1, 0.15, 0.15, 0.2, 0.2, 0.25, 0.25]
    first = predictions(1).query("cell == 'text'")
    for row in found:
        mine = first[first["label"] == ("covid19" if row.name == "sensitivity" else "non_covid")]
        above = sum(p >= row.threshold for p in mine["p_covid19"])
        k = above if row.name == "sensitivity" else len(mine) - above
        assert (row.k, row.n) == (k, len(mine))
        assert row.n in (100, 3000)
        low, high = proportion_confint(k, len(mine), method="wilson")
        assert row.measured == k / len(mine)
        assert (row.low, row.high) == pytest.approx((low, high), abs=1e-12)
        assert row.agrees is (row.low <= row.published <= row.high)


def test_a_number_of_another_kind_cell_or_class_is_not_measured() -> None:
    def row(**more: object) -> PublishedNumber:
        told = {"where": "x", "name": "sensitivity", "class": "covid19", "value": 1, **more}
        return PublishedNumber.model_validate({"threshold": 0.5, **told})

    numbers = [row(name="f1"), row(**{"class": "overall"}), row(cell="nowhere"), row()]
    found = published.compare_with_paper(numbers, [], "upstream", predictions())
    assert [item.measured for item in found] == [None, None, None, 1.0]
    assert [item.measured for item in published.compare_with_paper(numbers, [], "upstream")] == [
        None
    ] * 4


def test_images_seen_of_the_stored_model_add_up_over_its_stages() -> None:
    stages = [("head", 30), ("head", 60), ("all", 30), ("solved", None)]
    history = pd.DataFrame(stages, columns=["stage", "images_seen"]).assign(
        cell="a", fold=0, seed=1
    )
    origin = {"cell": "a", "fold": 0, "seed": 1}
    assert summary.images_seen(history, origin) == 90
    assert summary.images_seen(history[3:], origin) is None
    assert summary.images_seen(history.drop(columns="images_seen"), origin) is None


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not here")
def test_a_release_of_a_set_is_told_by_its_files_as_coreutils_has_it(tmp_path: Path) -> None:
    """Spec S1-02: which commit of a growing collection was it? Its bytes say."""
    for i in range(12):
        (tmp_path / f"{i}.png").write_bytes(bytes([i]) * 40)
    files = sorted(tmp_path.iterdir())
    hashes = pd.Series([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    command = "sha256sum *.png | cut -c1-64 | LC_ALL=C sort | sha256sum"
    told = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)  # noqa: S602
    assert summary.release(hashes) == told.stdout.decode().split()[0]
    assert summary.release(hashes[::-1]) == summary.release(hashes) != summary.release(hashes[1:])
    assert summary.release(pd.Series([*hashes, None])) is None


@pytest.mark.parametrize(
    ("counts", "origin", "near", "said"),
    [
        (
            {"a": 30, "b": 5000},
            "package x",
            False,
            "30 images of the smallest class, small and far",
        ),
        ({"a": 1000}, "package x", False, "large and far from the pretraining: train every layer"),
        ({"a": 30}, "tuned from random, seed 0", True, "near to the pretraining: train the head"),
        ({"a": 30}, "random, seed 0", False, "nothing worth keeping: train every layer"),
    ],
)
def test_advice_goes_by_the_smallest_class(
    counts: dict[str, int], origin: str, near: bool, said: str
) -> None:
    assert said in summary.advice(counts, origin, near)


# --- what was left out ----------------------------------------------------------------------------


def test_left_out_csv_lists_every_name_once(tmp_path: Path) -> None:
    """Of readers, of selections and of a folder's other files; the counts add up."""
    rows = pd.DataFrame({"path": [str(tmp_path / f"{i}.png") for i in range(12)], "label": "a"})
    whole = manifests.assemble_manifest(rows, "folder", root=tmp_path)
    kept = manifests.select(whole, whole.table.index >= 9, "not wanted")
    tally = Tally()
    tally.skip("lateral view", [f"row {i}" for i in range(5)])
    for i in range(4):
        (tmp_path / f"{i}.txt").write_text("x")
    strangers = images.list_images(tmp_path)[1]
    alone = LeftOut("z.png", "damaged")
    outputs.write_left_out(tmp_path, (*kept.left_out, *tally.left_out(), *strangers, alone))
    table = pd.read_csv(tmp_path / "left_out.csv")
    assert list(table.columns) == ["what", "reason", "count"]
    assert table["count"].sum() == 9 + 5 + 4 + 1 == len(table)
    assert set(table.loc[table["reason"] == "not wanted", "what"]) == {
        f"folder/{i}.png" for i in range(9)
    }
    assert not table["what"].str.contains("...", regex=False).any()
    stored = manifests.read_manifest(manifests.save_manifest(kept, tmp_path / "m.parquet"))
    assert stored.left_out[0].names == kept.left_out[0].names
    assert len(stored.left_out[0].names) == 9


def test_a_count_is_not_added_to_itself(tmp_path: Path) -> None:
    """43 of 44 left out for one reason: 43 in results.json, in the page, and in the list."""
    rows = pd.DataFrame({"path": [str(tmp_path / f"{i}.png") for i in range(44)], "label": "a"})
    whole = manifests.assemble_manifest(rows, "folder", root=tmp_path)
    kept = manifests.select(whole, whole.table.index == 0, "another label")
    (row,) = summary.grouped(kept.left_out)
    run = RunFolder(tmp_path, {"data": {"left_out": [row]}})
    assert (row["count"], sections.left_out(run)[0].n) == (43, 43)
