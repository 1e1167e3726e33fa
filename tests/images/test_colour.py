"""Colourfulness: photographs have it, grey and tinted films do not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from hilum import images


def colourfulness(pixels: np.ndarray, path: Path) -> float:
    Image.fromarray(pixels).save(path)
    return images.colourfulness(path, images.read(path).facts)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_photographs_are_colourful_and_films_are_not(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"image{suffix}"
    film = data.camera()
    sepia = (film[..., None] * np.array([1, 0.9, 0.7])).astype(np.uint8)
    assert colourfulness(data.chelsea(), path) > 6
    assert colourfulness(data.astronaut(), path) > 6
    assert colourfulness(film, path) == 0
    assert colourfulness(np.stack([film] * 3, axis=-1), path) < 1
    assert colourfulness(sepia, path) < 2
