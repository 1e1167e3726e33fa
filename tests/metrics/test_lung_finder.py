"""The network that comes with hilum: what it finds, on whom, and that it says when it does not."""

from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from hilum import datasets, phantom
from hilum.metrics import dice as overlap
from hilum.preprocess.lungs import segmenter, unet
from hilum.preprocess.lungs.masks import OK
from hilum.types import MissingError

WEIGHTS = Path(str(resources.files("hilum.preprocess.lungs"))) / segmenter.WEIGHTS


@pytest.fixture(scope="module")
def finder() -> segmenter.LungSegmenter:
    return segmenter.load_segmenter()


def read(path: str) -> np.ndarray:
    return np.asarray(cv2.imread(path, cv2.IMREAD_GRAYSCALE))


def test_the_weights_are_small_and_have_a_card() -> None:
    assert WEIGHTS.stat().st_size < 4_000_000
    card = WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")
    told = unet.load_unet(WEIGHTS).facts.provenance
    for words in ("CC BY 4.0", "V7", "Dice", "Limits", f"{told['validation_dice']:.3f}"):
        assert words in card


def test_phantoms_lungs_are_found(finder: segmenter.LungSegmenter) -> None:
    """Their truth leaves the heart's shadow out, which V7's readers take in: 0.85, not 0.96."""
    made = phantom.generate(phantom.Request(images=10, size=256, seed=11))
    found = [finder(film) for film in made.images]
    assert {one.status for one in found} == {OK}
    dice = overlap.dice(np.stack([one.mask for one in found]), made.lungs)
    assert dice.min() > 0.8
    assert dice.mean() > 0.85
    # what truth calls lung is in the mask; what the mask has more is the heart
    inside = [
        (one.mask & lung).sum() / lung.sum() for one, lung in zip(found, made.lungs, strict=True)
    ]
    assert min(inside) > 0.93


def test_held_out_patients(finder: segmenter.LungSegmenter, shared: Path) -> None:
    table = datasets.read("v7_masks", shared).table
    tested = finder.facts.provenance["tested"]
    rows = table[table["patient_id"].isin(tested)].iloc[::4]
    assert len(rows) >= 10
    dice = [
        float(overlap.dice(finder(read(row.path)).mask, read(row.mask_path) > 127))
        for row in rows.itertuples()
    ]
    assert np.mean(dice) > 0.95


def test_children_and_another_hospital_pass_their_check(
    finder: segmenter.LungSegmenter, shared: Path
) -> None:
    paths = [
        path
        for where in (
            "chest_xray/test/NORMAL",
            "chest_xray/test/PNEUMONIA",
            "nih-chestxray14/images",
        )
        for path in sorted((shared / where).iterdir())[::40][:6]
    ]
    found = [finder(read(str(path))) for path in paths]
    assert np.mean([one.status == OK for one in found]) >= 0.9
    assert min(one.fraction for one in found if one.good) > 0.1


NOTHING = {
    "black": (np.zeros((300, 300), np.uint8), "no lungs found"),
    "constant": (np.full((200, 300), 99, np.uint8), "no lungs found"),
    "noise": (np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8), ""),
    "tiny": (np.random.default_rng(0).integers(0, 256, (30, 30), np.uint8), "30 x 30 pixels"),
    "sliver": (np.zeros((2, 900), np.uint8), "900 x 2 pixels"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_no_chest_is_said(finder: segmenter.LungSegmenter, name: str) -> None:
    pixels, words = NOTHING[name]
    found = finder(pixels)
    assert not found.good
    assert words in found.status
    assert found.mask.shape == pixels.shape


def test_photographs_are_refused(finder: segmenter.LungSegmenter) -> None:
    from skimage import data

    for photograph in (data.camera(), data.coins(), data.chelsea()[..., 1], data.moon()):
        assert not finder(np.ascontiguousarray(photograph)).good


def test_a_film_lying_on_its_side_is_refused(finder: segmenter.LungSegmenter) -> None:
    film = phantom.generate(phantom.Request(images=1, size=256, seed=2)).images[0]
    assert finder(film).good
    assert not finder(np.ascontiguousarray(np.rot90(film))).good


def test_black_and_white_exchanged_is_said(finder: segmenter.LungSegmenter) -> None:
    films = phantom.generate(phantom.Request(images=4, size=256, seed=2)).images
    assert all(finder(film).good for film in films)
    assert not any(finder(255 - film).good for film in films)


@pytest.mark.slow
def test_slices_are_no_films_and_films_no_slices(
    finder: segmenter.LungSegmenter, shared: Path
) -> None:
    slices = [
        path
        for where in ("COVID-CT/Images-processed", "sarscov2-ctscan-dataset")
        for path in sorted(p for p in (shared / where).rglob("*") if p.is_file())[::40]
    ]
    found = [finder(read(str(path))) for path in slices]
    assert len(found) > 60
    assert sum(one.good for one in found) <= 2
    assert any("CT slice" in one.status for one in found)


def test_floats_and_eight_bits_give_one_mask(finder: segmenter.LungSegmenter) -> None:
    film = phantom.generate(phantom.Request(images=1, size=300, seed=2)).images[0]
    deep = finder((film / 255).astype(np.float32))
    assert float(overlap.dice(deep.mask, finder(film).mask)) > 0.995


def test_probabilities_are_torchs_own(finder: segmenter.LungSegmenter) -> None:
    """Both views through plain torch."""
    film = phantom.generate(phantom.Request(images=1, size=256, seed=2)).images[0]
    small = torch.from_numpy(finder.pipeline(film))[None, None]
    network = unet.load_unet(WEIGHTS)
    with torch.no_grad():
        views = [network(small), network(small.flip(3)).flip(3)]
        expected = torch.stack([torch.sigmoid(view) for view in views]).mean(0)[0, 0].numpy()
    np.testing.assert_allclose(finder.probabilities(film), expected, atol=1e-4)


def test_a_network_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="does not exist"):
        segmenter.load_segmenter(str(tmp_path / "lungs.safetensors"))


def test_provenance_names_who_was_held_out() -> None:
    told = unet.load_unet(WEIGHTS).facts.provenance
    assert len(set(told["tested"])) >= 30
    assert told["images"]["train"] > 150
    assert pd.Series(told["tested"]).str.startswith("v7_masks:").all()
