"""`hilum predict` refuses what is no film of its kind, and says so; films of its kind pass."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from skimage import data

from hilum import experiment, recipes
from hilum.audits import AUDITS
from hilum.inference import ood

pytestmark = pytest.mark.slow  # half a minute on one core
FILMS = 'data=[{phantom={images=100, size=160, seed=5, classes=["covid19","normal"]}}]'


def silent(name: str):
    return lambda done, total: None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 100 synthetic films with the embedded backbone."""
    out = tmp_path_factory.mktemp("refusing")
    plan = recipes.load_recipe(
        "demo", changes=['classes=["covid19","normal"]', FILMS, "figures=[]"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(out / "cache"))
        experiment.run_recipe(plan, None, out, silent)
    return out


def predicted(run: Path, folder: Path, films: dict[str, np.ndarray]) -> pd.DataFrame:
    """Rows of `preds.csv`, by name."""
    folder.mkdir()
    for name, film in films.items():
        cv2.imwrite(str(folder / f"{name}.png"), film)
    experiment.predict_files(run / "model", [folder], folder / "preds.csv", silent)
    table = pd.read_csv(folder / "preds.csv", keep_default_na=False)
    return table.set_index(table["path"].map(lambda path: Path(path).stem))


def held_out(run: Path) -> list[np.ndarray]:
    paths = pd.read_csv(run / "predictions.csv")["path"]
    return [cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in paths]


def test_every_audit_of_the_table_is_in_results_json(run: Path) -> None:
    found = {row["id"]: row for row in json.loads((run / "results.json").read_text())["audits"]}
    wanted = [name for name, row in AUDITS.items() if not row.rule.expensive]
    assert sorted(found) == sorted(wanted)
    for name in ("C-05", "C-12", "C-18", "C-20", "C-22", "C-23", "C-26"):
        assert found[name]["status"] != "unknown", found[name]["sentence"]
    across = pd.read_csv(run / "across_sources.csv")
    assert {"train", "test", "auroc"} <= set(across)
    assert (run / "figures" / "across.png").is_file()


def test_held_out_films_of_its_kind_pass(run: Path, tmp_path: Path) -> None:
    films = {str(i): film for i, film in enumerate(held_out(run))}
    table = predicted(run, tmp_path / "own", films)
    strange = table["reason"].str.startswith(("it ", "its "))
    assert strange.mean() < 0.1
    assert (table["abstain"] == (table["reason"] != "")).all()


def test_photographs_and_noise_are_refused_in_words(run: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = predicted(
        run,
        tmp_path / "far",
        {
            "cat": data.chelsea()[..., ::-1],
            "woman": data.astronaut()[..., ::-1],
            "camera": data.camera(),
            "coins": data.coins(),
            "text": data.text(),
            "noise": random.integers(0, 256, (300, 300)).astype(np.uint8),
            "flat": np.full((300, 300), 90, np.uint8),
            "tiny": data.camera()[:20, :20],
        },
    )
    assert table["abstain"].all()
    assert table["reason"].str.len().min() > 20
    assert "colour" in table.loc["cat", "reason"]
    assert "one grey" in table.loc["flat", "reason"]
    assert "20 pixels" in table.loc["tiny", "reason"]
    p = table.filter(like="p_").astype(float)  # kept, for whoever wants them
    assert p.sum(axis=1).to_numpy() == pytest.approx(1)


@pytest.mark.parametrize("pose", ood.POSES)
def test_inverted_and_turned_films_are_refused(run: Path, tmp_path: Path, pose: str) -> None:
    films = {str(i): ood.posed(film, pose) for i, film in enumerate(held_out(run))}
    table = predicted(run, tmp_path / "posed", films)
    assert table["abstain"].mean() > 0.9
    assert (table["reason"].str.startswith("it ") == table["abstain"]).all()


def test_what_stays_possible_is_said_where_the_model_cannot_decide(
    run: Path, tmp_path: Path
) -> None:
    """A model that knows its limits but can tell nothing apart abstains from every film."""
    copy = tmp_path / "model"
    shutil.copytree(run / "model", copy)
    record = json.loads((copy / "model.json").read_text())
    record["conformal"] = {"covid19": 0.0, "normal": 0.0}
    del record["digests"]  # hilum wrote no such model
    (copy / "model.json").write_text(json.dumps(record))
    (copy / ood.FILE).unlink()  # as older versions left it
    films = {str(i): film for i, film in enumerate(held_out(run)[:3])}
    table = predicted(tmp_path, tmp_path / "own", films)
    assert set(table["reason"]) == {"covid19 or normal: both stay possible at 90%"}
    assert table["abstain"].all()
