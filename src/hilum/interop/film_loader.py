"""The first step of a MONAI bundle: from an image's path to the pixels that the network sees."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hilum import images, preprocess
from hilum.preprocess.lungs import segmenter

IMAGE = "image"


class FilmLoader:
    """A dictionary transform: its `image`, a path, becomes (1, height, width), 0 to 255.

    PNG, JPEG, TIFF and DICOM are read and prepared as in training. Raises HilumError for an image
    that cannot be read.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self.pipeline = preprocess.from_list(steps, segmenter.load_segmenter)

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The same item with pixels in the place of a path, which moves to `path`."""
        path = str(item[IMAGE])
        image = images.read(path, self.pipeline.decode_side)
        pixels = torch.from_numpy(self.pipeline(image.pixels)).unsqueeze(0).float()
        return {**item, IMAGE: pixels, "path": path}
