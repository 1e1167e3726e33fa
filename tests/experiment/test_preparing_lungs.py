"""`hilum prepare` with lung steps: masks at the image's own size, and what fails is listed."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum import phantom
from hilum.experiment import prepare
from hilum.metrics import dice
from hilum.preprocess.lungs import segmenter as finders
from hilum.types import HilumError


def silent(name: str):  # type: ignore[no-untyped-def]
    return lambda done, total: None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films, one of them in a folder of its own and not square, and a black image."""
    root = tmp_path_factory.mktemp("films")
    made = phantom.generate(phantom.Request(images=2, size=256, seed=4))
    (root / "a").mkdir()
    cv2.imwrite(str(root / "one.png"), made.images[0])
    cv2.imwrite(str(root / "a" / "two.jpg"), cv2.resize(made.images[1], (300, 280)))
    cv2.imwrite(str(root / "black.png"), np.zeros((90, 80), np.uint8))
    return root


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, prepare.Prepared]:
    out = tmp_path_factory.mktemp("out")
    steps = prepare.steps_named(["keep_lungs:dilate=0", "letterbox"], 128)
    return out, prepare.prepare_folder(folder, steps, out, silent)


def test_masks_have_the_images_own_size_and_two_values(
    folder: Path, done: tuple[Path, prepare.Prepared]
) -> None:
    out, found = done
    assert found.masks == out / "masks"
    sizes = {"one": (256, 256), "a/two": (280, 300), "black": (90, 80)}
    for name, size in sizes.items():
        mask = cv2.imread(str(out / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == size
        assert set(np.unique(mask)) <= {0, 255}
    film = cv2.imread(str(folder / "one.png"), cv2.IMREAD_GRAYSCALE)
    mask = cv2.imread(str(out / "masks" / "one.png"), cv2.IMREAD_UNCHANGED) > 127
    assert float(dice.dice(mask, finders.load_segmenter()(film).mask)) == 1


def test_a_mask_that_fails_is_listed_and_leaves_no_black_image(
    done: tuple[Path, prepare.Prepared],
) -> None:
    out, found = done
    assert found.written == 2
    assert not (out / "images" / "black.png").exists()
    assert [item.reason for item in found.faulty] == ["no lungs found"]
    assert "no lungs found" in found.left_out[0].reason
    table = pd.read_csv(out / "lungs.csv").set_index("path")
    assert sorted(table["status"]) == ["no lungs found", "ok", "ok"]
    assert table.loc[table["status"] == "ok", "fraction"].between(0.1, 0.7).all()


def test_kept_lungs_are_black_outside(done: tuple[Path, prepare.Prepared]) -> None:
    out, _ = done
    image = cv2.imread(str(out / "images" / "one.png"), cv2.IMREAD_GRAYSCALE)
    mask = cv2.imread(str(out / "masks" / "one.png"), cv2.IMREAD_GRAYSCALE)
    outside = cv2.erode(255 - cv2.resize(mask, (128, 128)), np.ones((5, 5), np.uint8)) > 250
    assert image.shape == (128, 128)
    assert not image[outside].any()
    assert image[~outside].mean() > 20


def test_lungs_that_come_after_another_step_still_get_a_mask_of_the_whole_image(
    folder: Path, tmp_path: Path
) -> None:
    steps = prepare.steps_named(["border_crop", "hide_lungs:failed=whole"])
    found = prepare.prepare_folder(folder, steps, tmp_path, silent)
    assert found.written == 3
    assert cv2.imread(str(tmp_path / "masks" / "one.png")).shape[:2] == (256, 256)


def test_steps_without_lungs_write_no_masks(folder: Path, tmp_path: Path) -> None:
    found = prepare.prepare_folder(folder, prepare.steps_named(["clahe"]), tmp_path, silent)
    assert found.masks is None
    assert not (tmp_path / "masks").exists()
    assert not (tmp_path / "lungs.csv").exists()


def test_parameters_are_read_with_their_kind() -> None:
    (step,) = prepare.steps_named(["keep_lungs:kind=ct:hull=true:dilate=0.03"])
    assert (step.kind, step.hull, step.dilate) == ("ct", True, 0.03)  # type: ignore[attr-defined]
    with pytest.raises(HilumError, match="did you mean 'hull'"):
        prepare.steps_named(["keep_lungs:hul=true"])
    with pytest.raises(HilumError, match="did you mean 'keep_lungs'"):
        prepare.steps_named(["keep_lung"])
