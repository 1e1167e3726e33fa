"""How fast this machine is at a recipe's work, by a trial of seconds that keeps nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum import files, images
from hilum.models.runtime.base import Runtime
from hilum.preprocess import Pipeline
from hilum.types import Grey8, HilumError, Stack8

if TYPE_CHECKING:  # a prediction does without torch
    from hilum.models.backbones import Backbone

DECODED = 8  # images of the trial
PASSES = 16  # images through the network
BATCH = 4  # images of a training step
# What follows training takes by experience: seconds for scores, figures and report, and as many
# passes of the network for each test image that the audits look at, up to so many images
REPORT, AUDITED, MOST_AUDITED = 12.0, 12, 300


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds per image on all cores: decoding and preparing, a pass, a pass of training."""

    decode: float
    frozen: float
    training: float = 0.0

    def audits(self, tested: int) -> float:
        """Seconds for scores, audits and report of so many test images."""
        return REPORT + self.frozen * AUDITED * min(tested, MOST_AUDITED)


def decoding(paths: Sequence[Path], pipeline: Pipeline) -> tuple[float, list[Grey8]]:
    """Seconds per image on all cores, and the prepared images (height, width).

    Of the first image only the result counts, since it pays for what is loaded once. Raises
    HilumError where none can be read.
    """
    prepared: list[Grey8] = []
    spent: list[float] = []
    for path in paths:
        began = time.perf_counter()
        try:
            prepared.append(pipeline(images.read(path, pipeline.decode_side).pixels))
        except HilumError:
            continue
        spent.append(time.perf_counter() - began)
    if not prepared:
        raise HilumError(f"a trial needs an image that can be read; got {paths[0]}; check it.")
    return float(np.mean(spent[1:] or spent)) / files.available_cpus(), prepared


def passing(runtime: Runtime, prepared: Sequence[Grey8]) -> float:
    """Seconds per image of one pass through a compiled network."""
    stack = repeated(prepared, PASSES)
    runtime(stack[:1])
    began = time.perf_counter()
    runtime(stack)
    return (time.perf_counter() - began) / len(stack)


def learning(backbone: "Backbone", normalise: str, prepared: Sequence[Grey8]) -> float:
    """Seconds per image of one training step, forwards and backwards, in fp32."""
    import torch
    from torch import nn

    from hilum.models.normalise import InputNormalisation
    from hilum.models.runtime.compiling import training_device

    device = training_device()
    pixels = torch.from_numpy(repeated(prepared, BATCH))[:, None].to(device)
    network = nn.Sequential(InputNormalisation(normalise), backbone).to(device).train()

    def step() -> None:
        features = network(pixels)
        features.sum().backward()
        float(features.detach().sum())  # a device has then finished

    return timed(step) / BATCH


def timed(step: Callable[[], None]) -> float:
    """Seconds of the second of two calls: the first one loads and allocates."""
    step()
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def repeated(prepared: Sequence[Grey8], count: int) -> Stack8:
    """`count` images (image, height, width), each of those at hand in turn."""
    return np.stack([prepared[number % len(prepared)] for number in range(count)])


def spread(paths: Sequence[str], count: int = DECODED) -> list[Path]:
    """So many paths, evenly spaced over all."""
    at = np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int))
    return [Path(paths[number]) for number in at]
