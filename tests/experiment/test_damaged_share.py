"""E-11: one image in a hundred is damaged: listed exactly, and the others are as without them."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum import recipes
from hilum.experiment import tasks
from hilum.progress import silent

pytestmark = [pytest.mark.hard, pytest.mark.usefixtures("few_audits", "no_report")]

COUNT = 300  # images, a third of them of the smaller class


def cut(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """One wrong bit in the middle of the compressed pixels."""
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": cut,
    "flipped": flipped,
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "noise": lambda content: np.random.default_rng(0).bytes(len(content)),
    "text": lambda content: b"404 Not Found\n",
    "header": lambda content: b"\x89PNX" + content[4:],
}


def film(number: int) -> np.ndarray:
    y, x = np.mgrid[0:80, 0:72]
    noise = np.random.default_rng(number).normal(0, 12, y.shape)
    sick = 30 * np.exp(-((y - 40) ** 2 + (x - 30) ** 2) / 200) * (number % 3 == 0)
    return np.clip(90 + 40 * np.sin(x / (5 + number % 11)) + y / 3 + sick + noise, 0, 255).astype(
        np.uint8
    )


def train(folder: Path, out: Path) -> pd.DataFrame:
    """The predictions of a run on class folders."""
    changes = [
        'classes=["sick","well"]',
        f'data=[{{path="{folder}"}}]',
        "model.backbone=test_efficientnet",
        "model.weights=random",
        "prepare.side=64",
        "augment.views=0",
        "figures=[]",
        "seeds=[0]",
    ]
    tasks.run_into(recipes.load_recipe("demo", changes=changes), None, out, silent)
    return pd.read_csv(out / "predictions.csv").drop(columns="path").set_index("sample_id")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("damaged")
    for number in range(COUNT):
        path = home / ("well", "sick")[number % 3 == 0] / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), film(number))
    return home


@pytest.mark.parametrize("seed", range(2))
def test_one_in_a_hundred(
    home: Path, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted(home.rglob("*.png"))
    victims = [paths[i] for i in np.random.default_rng(seed).permutation(COUNT)[: COUNT // 100]]
    kept = {path: path.read_bytes() for path in victims}
    for path in victims:
        path.unlink()
    whole = train(home, tmp_path / "without")
    for name, damage in DAMAGE.items():
        for path, content in kept.items():
            path.write_bytes(damage(content))
        found = train(home, tmp_path / name)
        listed = pd.read_csv(tmp_path / name / "left_out.csv")
        assert {Path(what).name for what in listed["what"]} == {path.name for path in victims}
        assert len(listed) == len(victims)
        pd.testing.assert_frame_equal(found, whole)
        assert set(found["label"]) == {"sick", "well"}
    for path, content in kept.items():
        path.write_bytes(content)
    with capsys.disabled():
        sys.stderr.write(
            f"\n{len(victims)} of {COUNT} images damaged in {len(DAMAGE)} ways: listed exactly, "
            "the others' answers are the same\n"
        )
