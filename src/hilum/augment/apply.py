"""Application of augmentation: one affine warp per image, then a table of grey levels.

All of it is in a table of plain parameters (COLUMNS), so that any image can be made again.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.types import Grey8, HilumError, Stack8

Maps: TypeAlias = npt.NDArray[np.float64]  # (image, 2, 3), output to input, pixels

COLUMNS = (
    "rotation",  # degrees
    "zoom_x",  # magnification
    "zoom_y",
    "shear",  # degrees
    "shift_x",  # fraction of the side
    "shift_y",
    "flip",
    "vertical_flip",
    "value",  # factor on grey levels
    "contrast",  # factor about the image's mean
    "box_left",  # the part of the film that fills the frame, in fractions of the film's sides;
    "box_top",  # it is cut before anything else moves, and may reach beyond the film
    "box_width",
    "box_height",
    "fill",  # grey level shown outside the film, -1: its nearest pixel
)


def apply(stack: Stack8, parameters: pd.DataFrame, workers: int = 2) -> Stack8:
    """(image, height, width) -> the same shape, row i changed by row i of `parameters`.

    Raises HilumError where the table has another number of rows than there are images.
    """
    if len(stack) != len(parameters):
        raise HilumError(
            f"augmentation needs one row of parameters per image; got {len(parameters)} rows for "
            f"{len(stack)} images; sample them for the same images."
        )
    maps = matrices(parameters, stack.shape[1:])
    light = parameters[["value", "contrast"]].to_numpy(np.float64)
    fill = parameters["fill"].to_numpy(np.int64)
    out = np.empty_like(stack)

    # OpenCV frees the interpreter lock; its warp is several times faster than a batched grid sample
    def one(i: int) -> None:
        out[i] = _scale_grey(_warp(stack[i], maps[i], int(fill[i])), *light[i])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(len(stack))))
    return out


def matrices(parameters: pd.DataFrame, shape: tuple[int, ...]) -> Maps:
    """(image, 2, 3) output-to-input maps of pixel coordinates for images of `shape`.

    About the image's centre: rotate, shear, zoom, mirror, shift, the order of Keras'
    ImageDataGenerator; then into the box of the film that fills the frame.
    https://www.tensorflow.org/api_docs/python/tf/keras/preprocessing/image/ImageDataGenerator
    """
    p = {name: parameters[name].to_numpy(np.float64) for name in COLUMNS}
    size = np.array([shape[1], shape[0]], np.float64)
    centre = (size - 1) / 2
    mirrored = 1 - 2 * _axes(p["flip"], p["vertical_flip"])
    scale = mirrored / _axes(p["zoom_x"], p["zoom_y"])
    linear = _rotation_matrices(p["rotation"]) @ _shear_matrices(p["shear"]) * scale[:, None, :]
    moved = centre + size * _axes(p["shift_x"], p["shift_y"])
    offset = centre - (linear @ moved[:, :, None])[:, :, 0]
    box = _axes(p["box_width"], p["box_height"])
    # pixel x is at the fraction (x + 1/2) / width of the film
    offset = box * offset + (box - 1) / 2 + size * _axes(p["box_left"], p["box_top"])
    return np.concatenate([box[:, :, None] * linear, offset[:, :, None]], axis=2)


def _warp(image: Grey8, matrix: Maps, fill: int) -> Grey8:
    height, width = image.shape
    return cv2.warpAffine(
        image,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE if fill < 0 else cv2.BORDER_CONSTANT,
        borderValue=max(fill, 0),
    )


def _scale_grey(image: Grey8, value: float, contrast: float) -> Grey8:
    """Grey levels times `value`, after `contrast` about the image's own mean."""
    if value == 1 and contrast == 1:
        return image
    offset = value * (1 - contrast) * float(image.mean())
    levels = np.rint(np.clip(np.arange(256) * (value * contrast) + offset, 0, 255))
    return cv2.LUT(image, levels.astype(np.uint8))


def _rotation_matrices(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(image, 2, 2) rotations."""
    angle = np.deg2rad(degrees)
    rows = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return np.moveaxis(np.array(rows), -1, 0)


def _shear_matrices(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(image, 2, 2) shears."""
    angle = np.deg2rad(degrees)
    rows = [[np.ones_like(angle), -np.sin(angle)], [np.zeros_like(angle), np.cos(angle)]]
    return np.moveaxis(np.array(rows), -1, 0)


def _axes(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(image, 2)."""
    return np.stack([x, y], axis=1)
