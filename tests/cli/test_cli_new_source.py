"""`predict` and `evaluate` say that a batch is of a source that the model does not know."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Run, Trained, class_folders

from hilum import phantom
from hilum.inference import model_folder, new_source


@pytest.fixture(scope="module")
def elsewhere(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model whose sources are far from 24 films in class folders, and these."""
    home = tmp_path_factory.mktemp("elsewhere")
    films = class_folders(
        phantom.generate(phantom.Request(images=24, size=96, seed=77)), home / "f"
    )
    folder = home / "model"
    shutil.copytree(trained.folder / "model", folder)
    width = len(model_folder.load_trained_model(folder).head.standardise.mean)
    random = np.random.default_rng(0)
    basis, known = (random.normal(9, 1, (60, width)).astype(np.float32) for _ in range(2))
    groups = [("there", "covid19"), ("there", "normal")] * 30
    sources = new_source.fit_reference(basis, known, groups, [str(i) for i in range(60)])
    model_folder.save_sources(folder, sources)
    return folder, films


def test_predict_abstains_unless_that_is_accepted(
    hilum: Run, elsewhere: tuple[Path, Path], tmp_path: Path
) -> None:
    model, films = elsewhere
    done = hilum("predict", model, films, "--out", tmp_path / "p.csv")
    assert "come from a source that is new to the model" in done.out
    first = pd.read_csv(tmp_path / "p.csv")
    assert (first["new_source"] == "yes").all()
    assert first["abstain"].all()
    assert first["reason"].notna().all()
    words = ("--accept-new-source", "--json")
    accepted = hilum("predict", model, films, "--out", tmp_path / "q.csv", *words).json
    assert accepted["new_source"]["state"] == "yes"
    second = pd.read_csv(tmp_path / "q.csv")
    same = [name for name in first if name not in ("abstain", "reason")]
    pd.testing.assert_frame_equal(first[same], second[same])
    assert not second["reason"].astype(str).str.contains("source is new").any()


@pytest.mark.usefixtures("brief")
def test_evaluate_says_so_first(hilum: Run, elsewhere: tuple[Path, Path], tmp_path: Path) -> None:
    model, films = elsewhere
    hilum("evaluate", model, films, "--out", tmp_path / "e")
    results = json.loads((tmp_path / "e" / "results.json").read_text())
    assert "come from a source that is new to the model" in results["limits"][0]
    assert results["data"]["new_source"][""]["images"] >= 10
    assert (pd.read_csv(tmp_path / "e" / "predictions.csv")["new_source"] == "yes").all()


def test_a_model_of_few_films_says_that_it_does_not_check(
    hilum: Run, trained: Trained, elsewhere: tuple[Path, Path], tmp_path: Path
) -> None:
    film = min((elsewhere[1] / "normal").iterdir())
    done = hilum("predict", trained.folder, film, "--out", tmp_path / "p.csv")
    assert "Not checked: whether these images come from a source of training." in done.out
    assert pd.read_csv(tmp_path / "p.csv")["new_source"].tolist() == ["not checked"]


@pytest.mark.slow
def test_adapt_writes_a_model_that_predicts_and_refuses_few_films(
    hilum: Run, elsewhere: tuple[Path, Path], trained: Trained, tmp_path: Path
) -> None:
    model, films = elsewhere
    done = hilum("adapt", model, films, "--out", tmp_path / "a", "--json")
    assert done.code == 0, done.err
    assert done.json["films"]["images"] == 24
    assert "not_checked" not in done.json["old_sources"]
    answered = hilum("predict", tmp_path / "a", films, "--out", tmp_path / "p.csv", "--json").json
    assert answered["seen"]["same file"] == 24
    assert "hilum adapt" in answered["model"]["line"]
    again = hilum("adapt", tmp_path / "a", films, "--out", tmp_path / "b")
    assert again.code == 2
    assert "the model was not built on" in again.err
    assert not (tmp_path / "b").exists()
    shutil.rmtree(films / "covid19")
    few = hilum("adapt", model, films, "--out", tmp_path / "c")
    assert few.code == 2
    assert "4 or more in each of two classes" in " ".join(few.err.split())
