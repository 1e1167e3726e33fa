"""Normalisation against the published formulas, written out channel by channel."""

import numpy as np
import pytest
import torch

from hilum.models import torchvision_compat
from hilum.models.normalise import NORMALISE, InputNormalisation, affine
from hilum.types import HilumError

# mean and deviation of the films that these were trained on, by their publishers
GREY = {"rad_dino": (0.5307, 0.2583), "eva_x": (0.49185243, 0.28509309)}


def reference(mode: str, x: np.ndarray) -> np.ndarray:
    """Keras's preprocess_input in closed form: grey (height, width) -> (3, height, width)."""
    rgb = np.stack([x, x, x]).astype(np.float64)
    if mode == "unit":
        return rgb / 255
    if mode == "signed":  # Keras's "tf"
        return rgb / 127.5 - 1
    if mode == "imagenet":  # Keras's "torch"
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        return (rgb / 255 - mean[:, None, None]) / std[:, None, None]
    if mode == "xrv":  # torchxrayvision.datasets.normalize with 255 as the largest value
        return (2 * (rgb / 255) - 1) * 1024
    if mode == "clip":
        known = torchvision_compat.timm().data.constants
        rows = (known.OPENAI_CLIP_MEAN, known.OPENAI_CLIP_STD)
        mean, std = (np.array(row)[:, None, None] for row in rows)
        return (rgb / 255 - mean) / std
    if mode in GREY:
        mean, std = GREY[mode]
        return (rgb / 255 - mean) / std
    bgr = rgb[::-1]
    return bgr - np.array([103.939, 116.779, 123.68])[:, None, None]


@pytest.mark.parametrize("mode", sorted(NORMALISE))
def test_door_is_the_published_formula_for_every_grey(mode: str) -> None:
    x = np.arange(256, dtype=np.uint8).reshape(16, 16)
    got = InputNormalisation(mode)(torch.from_numpy(x)[None, None])[0].numpy()
    want = reference(mode, x)
    np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max())


def test_the_reference_knows_every_row() -> None:
    assert set(NORMALISE) == {"unit", "signed", "imagenet", "caffe", "clip", "xrv", *GREY}


def test_door_keeps_shape_and_adds_channels() -> None:
    out = InputNormalisation("signed")(torch.zeros(5, 1, 7, 9, dtype=torch.uint8))
    assert out.shape == (5, 3, 7, 9)
    assert out.dtype == torch.float32
    assert InputNormalisation("signed").state_dict() == {}


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(HilumError, match="got 'zscore'"):
        affine("zscore")
