"""Unusual pixels have a defined result or one sentence, in `read` and on the way to the network."""

import numpy as np
import pytest
from odd_pixels import ODD

from hilum import images
from hilum.inference import answer
from hilum.preprocess import from_list
from hilum.types import HilumError

SIDE = 16
PIPELINE = from_list([{"step": "letterbox", "side": SIDE}])
LEAST = 40  # cases


def test_there_are_as_many_as_promised() -> None:
    assert len(ODD) >= LEAST


@pytest.mark.parametrize("name", ODD)
def test_odd_pixels(name: str) -> None:
    case = ODD[name]
    if isinstance(case.becomes, str):
        for read in (images.read, lambda data: answer.prepare_file(data, PIPELINE)):
            with pytest.raises(HilumError, match=r"expected .* got .*; ") as caught:
                read(case.data)
            assert case.becomes in str(caught.value)
            assert "\n" not in str(caught.value)
        return
    shown = images.read(case.data).pixels
    assert shown.shape == np.shape(case.becomes)
    assert shown.dtype in (np.uint8, np.float32)
    white = 255 if shown.dtype == np.uint8 else 1
    np.testing.assert_allclose(shown / white, case.becomes / np.float64(white), atol=case.within)
    assert 0 <= shown.min() <= shown.max() <= white
    assert answer.prepare_file(case.data, PIPELINE).pixels.shape == (SIDE, SIDE)
