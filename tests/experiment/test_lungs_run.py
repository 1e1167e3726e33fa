"""`hilum run` on lung masks: every file of the run folder, resumed, and what it refuses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum import phantom, recipes
from hilum.experiment import mask_conventions, segmentation, segmentation_data, segmentation_fold
from hilum.metrics import dice
from hilum.preprocess.lungs import segmenter as finders
from hilum.preprocess.lungs import unet
from hilum.recipes import Recipe
from hilum.types import HilumError, HilumWarning

STAGE = 'train.stages=[{trainable="all",optimiser="adamw",epochs=2,batch=4,lr=5e-3,average=0.5}]'


def silent(name: str) -> "segmentation.Tell":  # type: ignore[name-defined]
    return lambda done, total: None  # type: ignore[return-value]


def plan(*changes: str) -> Recipe:
    data = 'data=[{phantom={images=24, size=80, seed=3, classes=["covid19","normal"]}}]'
    return recipes.load_recipe("lungs", changes=[data, "prepare.side=64", STAGE, *changes])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lungs")
    segmentation.run_segmentation(plan(), None, out, silent)
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
    assert recipes.load_recipe(str(done / "recipe.toml")) == plan()


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


def test_the_convention_of_the_masks_is_said(done: Path) -> None:
    results = json.loads((done / "results.json").read_text())
    said = "beside the heart (the phantom's truth)"
    assert results["verdict"].endswith(f"Convention of the reference masks: {said}.")
    assert [found["mask_convention"] for found in results["data"]["sets"]] == [said]
    assert results["model"]["convention"] == said
    page = (done / "report.html").read_text()
    assert page.count("beside the heart (the phantom&#39;s truth)") >= 2
    assert "a mixture" not in page + json.dumps(results)


def mixed_sets(root: Path) -> Recipe:
    """Films of the phantom handed in as V7's, beside films of the phantom itself."""
    drawn = phantom.write_phantom(phantom.Request(images=12, size=80, seed=5), root / "drawn").table
    home = root / "data" / "v7-lung-masks"
    (home / "images").mkdir(parents=True)
    (home / "masks").mkdir()
    rows = []
    for number, row in enumerate(drawn.itertuples()):
        name = f"f{number}.png"
        (home / "images" / name).write_bytes(Path(row.path).read_bytes())
        (home / "masks" / name).write_bytes(Path(row.mask_path).read_bytes())
        rows.append((name, name, number, "Pneumonia/Viral/COVID-19", "PA"))
    columns = ["image", "mask", "patientid", "finding", "view"]
    pd.DataFrame(rows, columns=columns).to_csv(home / "index.csv", index=False)
    both = 'data=[{card="v7_masks"}, {phantom={images=12, size=80, seed=3}}]'
    return plan(both)


@pytest.mark.slow
def test_a_mixture_of_conventions_is_named(tmp_path: Path) -> None:
    """On standard error, first among the report's limits, and set by set in the verdict."""
    whole, out = mixed_sets(tmp_path), tmp_path / "out"
    words = r"mixture: phantom \(beside the heart\), v7_masks \(behind the heart too\)\. .* 0\.90"
    with pytest.warns(HilumWarning, match=words):
        segmentation.run_segmentation(whole, tmp_path / "data", out, silent)
    results = json.loads((out / "results.json").read_text())
    assert "mixture" in results["limits"][0]
    assert "v7_masks: behind the heart too" in results["verdict"]
    assert "phantom: beside the heart" in results["verdict"]
    assert "a mixture: phantom" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("datasets", "mixture"),
    [
        (["v7_masks", "v7_masks"], False),
        (["montgomery_shenzhen", "phantom"], False),
        (["own", "another"], False),
        (["v7_masks", "own"], True),
        (["v7_masks", "montgomery_shenzhen"], True),
        (["v7_masks", "radiography"], True),
        ([None], False),
    ],
)
def test_what_counts_as_a_mixture(datasets: list[str | None], mixture: bool) -> None:
    table = pd.DataFrame({"dataset": pd.Series(datasets, dtype="str")})
    assert bool(mask_conventions.note(table)) == mixture
    assert ("; " in mask_conventions.followed(table)) == (
        mixture or datasets == ["montgomery_shenzhen", "phantom"]
    )


def test_a_perfect_mask_of_one_convention_is_no_perfect_mask_of_the_other() -> None:
    """The figure that the note gives, on drawn ellipses: lungs with and without a heart's share."""
    y, x = np.mgrid[:200, :200]
    right = ((x - 55) / 38) ** 2 + ((y - 100) / 80) ** 2 < 1
    left = ((x - 145) / 38) ** 2 + ((y - 100) / 80) ** 2 < 1
    heart = ((x - 112) / 34) ** 2 + ((y - 135) / 36) ** 2 < 1
    whole = right | left
    assert 0.85 < float(dice.dice(whole, whole & ~heart)) < 0.95


def test_patients_stand_on_one_side(done: Path) -> None:
    splits = pd.read_csv(done / "splits.csv")
    manifest = pd.read_parquet(done / "manifest.parquet").set_index("sample_id")
    parts = splits.assign(patient=manifest["patient_id"].reindex(splits["sample_id"]).to_numpy())
    assert parts.groupby("patient")["part"].nunique().max() == 1
    tested = set(splits.loc[splits["part"] == "test", "sample_id"])
    assert tested == set(pd.read_csv(done / "predictions.csv")["sample_id"])


def test_the_model_outlines_as_it_was_tested(done: Path) -> None:
    finder = finders.load_segmenter(str(done / "model" / "lungs.safetensors"))
    row = pd.read_csv(done / "predictions.csv").iloc[0]
    found = finder(cv2.imread(row["path"], cv2.IMREAD_GRAYSCALE))
    said = cv2.imread(str(done / row["found"]), 0) > 127
    np.testing.assert_array_equal(found.mask, said)
    assert (
        unet.load_unet(done / "model" / "lungs.safetensors").facts.provenance["recipe"] == "lungs"
    )


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
    real, calls = segmentation_fold.train_segmentation_fold, []

    def killed(*arguments: object) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(segmentation_fold, "train_segmentation_fold", killed)
    with pytest.raises(KeyboardInterrupt):
        segmentation.run_segmentation(whole, None, tmp_path, silent)
    monkeypatch.setattr(
        segmentation_fold, "train_segmentation_fold", lambda *a: (calls.append(2), real(*a))
    )
    segmentation.run_segmentation(whole, None, tmp_path, silent, resume=True)
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
        segmentation.run_segmentation(plan(change), None, tmp_path, silent)


def test_a_mask_of_another_shape_is_left_out_and_a_smaller_one_is_resized(tmp_path: Path) -> None:
    films = phantom.write_phantom(phantom.Request(images=2, size=80), tmp_path).table
    path = Path(films["mask_path"].iloc[0])
    whole = segmentation_data.read_mask(path, (80, 80))
    smaller = tmp_path / "small.png"
    cv2.imwrite(str(smaller), cv2.resize(cv2.imread(str(path), 0), (40, 40)))
    again = segmentation_data.read_mask(smaller, (80, 80))
    assert float(dice.dice(whole, again)) > 0.93
    with pytest.raises(HilumError, match="40 x 40 for an image of 100 x 80"):
        segmentation_data.read_mask(smaller, (80, 100))
