"""The server's answers are those of `hilum predict`, to the last digit."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import httpx2 as httpx
import numpy as np
import pandas as pd
import pytest
from films_to_send import CLASSES, JUDGED, bombs, formats, grey, multipart
from serving import Tiny

import hilum
from hilum.experiment import predict_files
from hilum.preprocess.lungs.masks import LungMask
from hilum.progress import silent
from hilum.serve import pictures

FILMS = formats()
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ask_a_server.py"


@pytest.fixture(scope="module")
def table(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What `hilum predict` writes of these films, by file name."""
    folder = tmp_path_factory.mktemp("films")
    for name, data in FILMS.items():
        (folder / name).write_bytes(data)
    out = folder / "preds.csv"
    predict_files(tiny.folder, [folder], out, silent)
    read = pd.read_csv(out, keep_default_na=False)
    return read.set_index(read["path"].map(lambda path: Path(path).name))


@pytest.fixture(scope="module")
def answers(live: str) -> dict[str, Any]:
    """All films in one request, with pictures and heat maps."""
    response = httpx.post(
        f"{live}/v1/predict?heatmap=true&film=true", files=multipart(FILMS), timeout=300
    )
    assert response.status_code == 200, response.text
    return response.json()


def test_every_format_has_the_answer_of_the_command(
    table: pd.DataFrame, answers: dict[str, Any]
) -> None:
    rows = answers["predictions"]
    assert [row["path"] for row in rows] == list(FILMS)
    assert len(table) == len(FILMS) == 7
    for row in rows:
        written = table.loc[row["path"]]
        assert [row["probabilities"][name] for name in CLASSES] == [
            float(written[f"p_{name}"]) for name in CLASSES
        ]
        for key in ("label", "abstain", "reason", "seen"):
            assert row[key] == written[key], (row["path"], key)
    assert {row["abstain"] for row in rows} == {True, False}
    assert [row["path"] for row in rows if row["seen"]] == ["film.tif"]
    assert (answers["failed_audits"], answers["thresholds"]["normal"]) == (JUDGED["failed"], 0.62)
    assert JUDGED["verdict"] in answers["verdict"]


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/png; charset=binary"])
def test_a_film_that_is_the_body_has_the_same_answer(
    live: str, answers: dict[str, Any], kind: str
) -> None:
    response = httpx.post(
        f"{live}/v1/predict", content=FILMS["eight.png"], headers={"Content-Type": kind},
        timeout=60,
    )  # fmt: skip
    (row,) = response.json()["predictions"]
    assert row["probabilities"] == answers["predictions"][0]["probabilities"]
    assert "heatmap" not in row
    assert "film" not in row


def test_the_heat_map_is_that_of_the_library(tiny: Tiny, answers: dict[str, Any]) -> None:
    model = hilum.load_model(tiny.folder)
    for row in answers["predictions"][:2]:
        layer = decoded(row["heatmap"]["png"], cv2.IMREAD_UNCHANGED)
        expected = model.explain(FILMS[row["path"]])
        assert row["heatmap"]["class"] == expected.class_ == row["label"]
        assert layer.shape == (*expected.array.shape, 4)
        share = layer[..., 3] / layer[..., 3].max() if layer[..., 3].any() else layer[..., 3]
        assert np.abs(share - expected.array).max() < 1 / 100


def test_pictures_are_the_films(answers: dict[str, Any]) -> None:
    rows = {row["path"]: row for row in answers["predictions"]}
    np.testing.assert_array_equal(decoded(rows["eight.png"]["film"]["png"]), grey(0))
    drawn = rows["sixteen.dcm"]["film"]
    assert (drawn["height"], drawn["width"]) == grey(2).shape
    assert "the file has no window" in drawn["greys"]
    assert "window" in rows["window.dcm"]["film"]["greys"]
    assert "no window" not in rows["window.dcm"]["film"]["greys"]
    assert rows["eight.png"]["film"]["greys"] == "greys as the file stores them"
    assert decoded(rows["eight.png"]["as_seen"]["png"]).shape == (896, 896)
    for row in rows.values():
        assert row["film"]["lungs"] or "not outlined" in row["film"]["lungs_reason"]


def test_a_film_that_cannot_be_read_keeps_its_place_and_its_reason(live: str) -> None:
    films = {"a.png": FILMS["eight.png"], "cut.png": FILMS["eight.png"][:300], "empty.dcm": b""}
    response = httpx.post(f"{live}/v1/predict", files=multipart(films), timeout=60)
    assert response.status_code == 200
    good, *bad = response.json()["predictions"]
    assert good["label"] in CLASSES
    assert [row["path"] for row in bad] == ["cut.png", "empty.dcm"]
    for row in bad:
        reason = hilum_reason(films[row["path"]])
        assert (row["label"], row["probabilities"], row["abstain"]) == ("", {}, True)
        assert row["reason"] == reason


def test_bombs_have_a_sentence_each_and_disturb_no_other(
    live: str, answers: dict[str, Any]
) -> None:
    films = {**bombs(), "eight.png": FILMS["eight.png"]}
    response = httpx.post(f"{live}/v1/predict", files=multipart(films), timeout=120)
    assert response.status_code == 200
    *bad, good = response.json()["predictions"]
    assert good["probabilities"] == answers["predictions"][0]["probabilities"]
    assert len(bad) == 3
    for row in bad:
        assert row["label"] == ""
        assert row["reason"].startswith("expected "), row


def test_nothing_but_unreadable_films_is_a_problem(live: str) -> None:
    content = b"this is text and no image"
    response = httpx.post(
        f"{live}/v1/predict", content=content, headers={"Content-Type": "image/png"}, timeout=60
    )
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    answer = response.json()
    assert answer["detail"] == answer["predictions"][0]["reason"] == hilum_reason(content)
    assert answer["notice"] == hilum.NOTICE


def test_the_card_says_what_the_folder_says(live: str, tiny: Tiny) -> None:
    card = httpx.get(f"{live}/v1/model", timeout=60).json()
    assert card["classes"] == CLASSES
    assert card["audits"] == JUDGED
    assert card["preparation"] == tiny.model.pipeline.as_list()
    assert card["limits"] == {"body": 32 * 2**20, "parts": 64}
    assert len(card["digest"]) >= 16


def test_the_example_prints_the_answers(live: str, tmp_path: Path, table: pd.DataFrame) -> None:
    good, bad = tmp_path / "eight.png", tmp_path / "bad.png"
    good.write_bytes(FILMS["eight.png"])
    bad.write_bytes(b"text")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), live, str(good), str(bad)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"{table.loc['eight.png', 'p_covid19']}" in done.stdout
    assert f"{bad}: {hilum_reason(b'text')}" in done.stdout
    assert hilum.NOTICE in done.stdout


def hilum_reason(data: bytes) -> str:
    with pytest.raises(hilum.HilumError) as error:
        hilum.read_image(data)
    return str(error.value).removeprefix("image in memory: ")


def decoded(text: str, flag: int = cv2.IMREAD_GRAYSCALE) -> Any:
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), flag)


def test_why_lungs_are_not_outlined_has_no_figure_that_another_sentence_contradicts() -> None:
    """The gate measures the network's small film, the outline the larger one that is shown."""
    doubtful = LungMask(
        np.zeros((4, 4), np.bool_), "too uncertain (0.910, at least 0.925)", 0.3, 0.91
    )
    assert pictures.outlines(doubtful) == ([], "lungs not outlined: too uncertain")
