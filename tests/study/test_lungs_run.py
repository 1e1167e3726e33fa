"""`hilum run` on lung masks: every file of the run folder, resumed, and what it refuses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum import recipe
from hilum.data import phantom
from hilum.evaluate import lungs as finders
from hilum.evaluate import overlap
from hilum.models import unet
from hilum.recipe import Recipe
from hilum.study import lungs, outlining, pairs
from hilum.types import HilumError

STAGE = 'train.stages=[{trainable="all",optimiser="adamw",epochs=2,batch=4,lr=5e-3,average=0.5}]'


def silent(name: str) -> "lungs.Tell":  # type: ignore[name-defined]
    return lambda done, total: None  # type: ignore[return-value]


def plan(*changes: str) -> Recipe:
    data = 'data=[{phantom={images=24, size=80, seed=3, classes=["covid19","normal"]}}]'
    return recipe.load("lungs", changes=[data, "prepare.side=64", STAGE, *changes])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lungs")
    lungs.run(plan(), None, out, silent)
    return out


def test_every_file_of_the_run_is_there(done: Path) -> None:
    wanted = {
        *("recipe.toml", "manifest.parquet", "splits.csv", "history.csv", "predictions.csv"),
        *("results.json", "report.html", "left_out.csv", "model", "figures", "masks"),
    }
    assert wanted <= {path.name for path in done.iterdir()}
    assert not (done / "work").exists()
    figures = {path.name for path in (done / "figures").iterdir()}
    assert {"training.png", "best.png", "median.png", "worst.png", "worst.csv"} <= figures
    assert recipe.load(str(done / "recipe.toml")) == plan()


def test_the_figures_follow_from_the_masks(done: Path) -> None:
    """Dice of each image recomputed from the files with nothing but numpy."""
    table = pd.read_csv(done / "predictions.csv")
    results = json.loads((done / "results.json").read_text())
    for row in table.to_dict("records"):
        said = cv2.imread(str(done / row["found"]), 0) > 127
        true = cv2.imread(row["mask_path"], 0) > 127
        again = 2 * (said & true).sum() / (said.sum() + true.sum())
        assert row["dice"] == pytest.approx(again, abs=1e-6)
    (overall,) = [
        row for row in results["scores"] if (row["name"], row["class"]) == ("dice", "overall")
    ]
    assert overall["value"] == pytest.approx(table["dice"].mean(), abs=1e-6)
    by_source = {row["class"] for row in results["scores"] if row["name"] == "dice"}
    assert by_source == {"overall", *table["source"]}
    assert results["published"][0]["published"] == 0.958


def test_patients_stand_on_one_side(done: Path) -> None:
    splits = pd.read_csv(done / "splits.csv")
    manifest = pd.read_parquet(done / "manifest.parquet").set_index("sample_id")
    parts = splits.assign(patient=manifest["patient_id"].reindex(splits["sample_id"]).to_numpy())
    assert parts.groupby("patient")["part"].nunique().max() == 1
    tested = set(splits.loc[splits["part"] == "test", "sample_id"])
    assert tested == set(pd.read_csv(done / "predictions.csv")["sample_id"])


def test_the_model_outlines_as_it_was_tested(done: Path) -> None:
    finder = finders.named(str(done / "model" / "lungs.safetensors"))
    row = pd.read_csv(done / "predictions.csv").iloc[0]
    found = finder(cv2.imread(row["path"], cv2.IMREAD_GRAYSCALE))
    said = cv2.imread(str(done / row["found"]), 0) > 127
    np.testing.assert_array_equal(found.mask, said)
    assert unet.load(done / "model" / "lungs.safetensors").facts.provenance["recipe"] == "lungs"


def test_history_has_both_parts_of_every_epoch(done: Path) -> None:
    history = pd.read_csv(done / "history.csv")
    assert set(history.columns) >= {
        "cell",
        "fold",
        "seed",
        "stage",
        "epoch",
        "part",
        "loss",
        "dice",
    }
    assert len(history) == 4


@pytest.mark.slow
def test_kfold_tests_everyone_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plan('split={kind="kfold",folds=2}')
    real, calls = outlining.train, []

    def killed(*arguments: object) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(outlining, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        lungs.run(whole, None, tmp_path, silent)
    monkeypatch.setattr(outlining, "train", lambda *a: (calls.append(2), real(*a)))
    lungs.run(whole, None, tmp_path, silent, resume=True)
    assert calls == [1, 2]
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 24


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('train.stages=[{optimiser="adam"}]', "train.stages.trainable"),
        ('train.balance="weights"', "train.balance"),
        ('grid={"train.balance"=["none"]}', "another grid"),
    ],
)
def test_what_has_no_use_here_is_refused(change: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(HilumError, match=words):
        lungs.run(plan(change), None, tmp_path, silent)


def test_a_mask_of_another_shape_is_left_out_and_a_smaller_one_is_resized(tmp_path: Path) -> None:
    films = phantom.write(phantom.Request(images=2, size=80), tmp_path).table
    path = Path(films["mask_path"].iloc[0])
    whole = pairs.read_mask(path, (80, 80))
    smaller = tmp_path / "small.png"
    cv2.imwrite(str(smaller), cv2.resize(cv2.imread(str(path), 0), (40, 40)))
    again = pairs.read_mask(smaller, (80, 80))
    assert float(overlap.dice(whole, again)) > 0.93
    with pytest.raises(HilumError, match="40 x 40 for an image of 100 x 80"):
        pairs.read_mask(smaller, (80, 100))
