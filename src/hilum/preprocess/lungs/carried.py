"""The lung network that an exported folder carries, for an installation without torch.

Torch is needed to convert the network that comes with hilum. An export therefore has the result,
and where torch is not installed, it is put where `segmenter` looks for conversions.
"""

import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from hilum.models.runtime import compile_cache
from hilum.preprocess import Pipeline
from hilum.preprocess.lungs import segmenter, unet_file
from hilum.types import HilumError

NAMES = ("lungs.bin", "lungs.xml")


def is_needed(pipeline: Pipeline) -> bool:
    """Whether a step looks for lungs with the network that comes with hilum."""
    steps = [step for step in pipeline.steps if getattr(step, "finder", None) is not None]
    return any(not getattr(step, "network", "") for step in steps)


def write(folder: Path) -> str:
    """Copy the converted network to `folder`; its digest, or "" where OpenVINO has none."""
    finder = segmenter.load_segmenter()
    network = finder.runtime.network
    if network is None:
        return ""
    for name in NAMES:
        shutil.copyfile(network.with_suffix(Path(name).suffix), folder / name)
    return finder.digest


def adopt(folder: Path, digest: str) -> None:
    """Find lungs with the network of `folder`, of this digest, where torch is not installed.

    Raises HilumError where hilum comes with another one by now.
    """
    if not digest or find_spec("torch") is not None:
        return
    with segmenter.embedded() as path:
        if unet_file.unet_file_digest(path) != digest:
            raise HilumError(
                f"the lung network in {str(folder)!r} must be the one that this version of hilum "
                "has; got another; export the model again with this version, or install torch."
            )
        saved, shape = segmenter.saved_network(path)
    if compile_cache.find_conversion(saved, shape):
        return
    target = compile_cache.path_of(compile_cache.conversion_digest(folder / NAMES[1]))
    compile_cache.save_conversion(target.parent, partial(_copy, folder))
    compile_cache.remember_conversion(saved, shape, target, [])


def _copy(folder: Path, network: Path) -> None:
    for name in NAMES:
        shutil.copyfile(folder / name, network.with_suffix(Path(name).suffix))
