"""Int8: a converted network, quantised after training and calibrated on training images.

NNCF's post-training quantisation with fast bias correction (Jacob et al. 2018, arXiv:1712.05877;
Nagel et al. 2019, arXiv:1906.04721). Weights keep seven bits (depthwise ones eight): processors
without VNNI add two products in sixteen bits, which eight-bit weights overflow, so that the same
file would answer otherwise there, and worse.
"""

import io
import logging
from contextlib import redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hilum import files
from hilum.models.runtime import compile_cache, compiling
from hilum.models.runtime.base import Runtime, Target
from hilum.types import HilumError, MissingError, Stack8

if TYPE_CHECKING:
    import openvino as ov

IMAGES = 128  # that calibrate: features from 300 are no nearer to those in full precision
SETTINGS = "performance preset, seven-bit weights, fast bias correction"


def require() -> None:
    """Raises MissingError without NNCF, HilumError where the CPU is not to compute."""
    if find_spec("nncf") is None:
        raise MissingError(
            "precision int8 needs the package nncf; got a Python without it; "
            "run pip install hilum[int8]."
        )
    if not compiling.openvino_computes(Target()):
        raise HilumError(
            "precision int8 is for CPUs, through OpenVINO; got a machine that computes with torch; "
            "choose precision auto."
        )


def quantised(full: Runtime, images: Stack8) -> Runtime:
    """The same network in int8, calibrated on prepared uint8 (image, height, width).

    About IMAGES of them are enough. What was quantised before on the same images is found again.
    Raises as `require` does.
    """
    require()
    if full.network is None:
        raise HilumError(
            f"precision int8 is for networks that OpenVINO runs; got engine {full.facts.engine}; "
            "choose precision auto."
        )
    versions = [version(name) for name in ("nncf", "openvino")]
    key = files.stable_digest(
        compile_cache.fingerprint(full.network),
        versions,
        SETTINGS,
        list(images.shape),
        images.tobytes(),
    )
    path = compile_cache.path_of(key)
    if not path.is_file():
        from hilum.models.runtime import conversion

        conversion.write(_quantise(full.network, images), path.parent)
    return compiling.compile_quantised(path, full.facts.shape)


def _quantise(network: Path, images: Stack8) -> "ov.Model":
    """(image, height, width) -> the quantised model of OpenVINO."""
    import nncf
    import openvino as ov
    from nncf.quantization.advanced_parameters import OverflowFix

    nncf.set_log_level(logging.ERROR)
    advanced = nncf.AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
    shown = nncf.Dataset([image[None, None] for image in images])
    with redirect_stdout(io.StringIO()):  # its own progress bars would break into hilum's
        return nncf.quantize(
            ov.Core().read_model(network),
            shown,
            subset_size=len(images),
            advanced_parameters=advanced,
        )
