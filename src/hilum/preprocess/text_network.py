"""The text detector of PP-OCRv6 (small, Apache-2.0), from the package rapidocr of `hilum[text]`.

Only its file is read: nothing of the package runs, and its reader is not used. The network gives
each pixel the probability that it lies inside a line of print (DB, Liao et al. 2020,
arXiv:1911.08947).
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from hilum import files
from hilum.types import Floats, Grey8, HilumError, MissingError

if TYPE_CHECKING:  # OpenVINO is loaded where text is looked for, not where a step is declared
    import openvino as ov

    from hilum.models.runtime.base import Runtime

PACKAGE, VERSION = "rapidocr", "3.10.0"  # the version that pyproject.toml names
FILE = "models/PP-OCRv6_det_small.onnx"
SHA256 = "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"
SIDES = (512, 736)  # pixels of the squares that a film is put in, multiples of 32
HALF = 127.5  # grey levels 0 to 255 become -1 to 1, in three equal channels


def require_text_network() -> Path:
    """The network's file; raises MissingError where its package is not installed."""
    spec = find_spec(PACKAGE)
    file = Path(spec.origin).parent / FILE if spec and spec.origin else None
    if file is None or not file.is_file():
        raise MissingError(
            f"markers are found by text with a network of the package {PACKAGE}; got "
            f"{'a version without it' if file else 'none'}; run pip install 'hilum[text]', or "
            "choose the method shape."
        )
    return file


def text_probabilities(film: Grey8) -> Floats:
    """(height, width) uint8 -> probabilities of print, the longer side scaled to the last of SIDES.

    The higher one of all SIDES: small print needs a large film, and large letters a small one.
    """
    views = [_seen_at(film, side) for side in SIDES]
    size = views[-1].shape[::-1]
    return np.asarray(np.max([cv2.resize(one, size) for one in views], axis=0))


def _seen_at(film: Grey8, side: int) -> Floats:
    """Probabilities at one size: hard edges and ringing would be found as print.

    Therefore a film is enlarged linearly, and its mirror image fills the rest of the square.
    """
    scale = side / max(film.shape)
    height, width = (max(1, round(length * scale)) for length in film.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(film, (width, height), interpolation=how)
    square = cv2.copyMakeBorder(small, 0, side - height, 0, side - width, cv2.BORDER_REFLECT)
    return _network(side)(square[None]).reshape(side, side)[:height, :width]


@cache
def _network(side: int) -> "Runtime":
    """Compiled once for this process; the same bits on one thread and on many."""
    from hilum.models.runtime import compiling
    from hilum.models.runtime.base import Target

    if not compiling.openvino_computes(Target("fp32", "cpu")):
        raise HilumError(
            "text on films is found by OpenVINO alone; got a machine where it does not run; "
            "choose the method shape."
        )
    from hilum.models.runtime.openvino import OpenVinoRuntime

    network = _with_grey_input(_checked(require_text_network()), side)
    return OpenVinoRuntime(network, (side, side), "fp32")


def _checked(file: Path) -> Path:
    digest = files.sha256(file)
    if digest != SHA256:
        raise HilumError(
            f"the text network must have the SHA-256 {SHA256[:16]}...; got {digest[:16]}... in "
            f"{file}; run pip install --force-reinstall {PACKAGE}=={VERSION}."
        )
    return file


def _with_grey_input(file: Path, side: int) -> "ov.Model":
    """The network for uint8 (1, 1, side, side), its output flat, as every runtime takes it."""
    import openvino as ov
    from openvino import opset13 as ops

    network = ov.Core().read_model(file)
    network.reshape([1, 3, side, side])
    film = ops.parameter([1, 1, side, side], ov.Type.u8)
    half = ops.constant(np.float32(HALF))
    grey = ops.divide(ops.subtract(ops.convert(film, "f32"), half), half)
    colour = ops.concat([grey, grey, grey], 1)
    for reader in network.input(0).get_target_inputs():
        reader.replace_source_output(colour.output(0))
    answer = network.output(0).get_node().input_value(0)
    return ov.Model([ops.reshape(answer, [1, side * side], special_zero=False)], [film])
