"""What every executor promises."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from hilum.types import Floats, Grey8, HilumError, Stack8

if TYPE_CHECKING:  # torch takes two seconds to load, and a runtime need not have it
    from torch import nn

Progress: TypeAlias = Callable[[int, int], None]
Precision: TypeAlias = Literal["bf16", "fp32", "int8"]
Wanted: TypeAlias = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how exactly to compute; "auto" takes the fastest that this machine has."""

    precision: Wanted = "auto"
    device: str = "auto"  # auto, cpu, cuda, cuda:1, ...
    engine: Literal["auto", "openvino", "torch"] = "auto"
    alone: bool = False  # all cores on one image, for somebody who waits; else one image per core


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What was settled when a network was compiled."""

    engine: str
    device: str
    precision: Precision  # what is really used, to be stored with the results
    shape: tuple[int, int]  # (height, width) of the images
    outputs: int  # width of the output
    quantised: str = ""  # fingerprint of the network in int8


class Runtime(ABC):
    """A compiled network: uint8 (image, height, width) -> float32 (image, output).

    One image gives the same bits alone, among others, and in any order.
    """

    facts: RuntimeInfo
    network: Path | None = None  # the file that is executed, where there is one

    def __call__(self, stack: Stack8, progress: Progress | None = None) -> Floats:
        """(image, height, width) uint8 -> (image, output); raises HilumError for another shape."""
        return self.stream(stack, len(stack), progress)

    def stream(
        self, images: Iterable[Grey8], count: int, progress: Progress | None = None
    ) -> Floats:
        """The same for images (height, width) that are made while earlier ones are computed.

        Raises HilumError for an image of another shape, or where there are not `count` of them.
        """
        out = np.empty((count, self.facts.outputs), np.float32)
        done = self._fill(self._checked(images, count), out, progress or _no_progress)
        if done != count:
            raise HilumError(f"{count} images were announced; got {done}; pass the true number.")
        return out

    def describe(self) -> dict[str, str]:
        """Engine, device and precision, ready for JSON."""
        facts = self.facts
        return {"engine": facts.engine, "device": facts.device, "precision": facts.precision}

    @abstractmethod
    def _fill(self, images: Iterator[Grey8], out: Floats, progress: Progress) -> int:
        """Write row i of (image, output) for the i-th image and return how many there were."""

    def _checked(self, images: Iterable[Grey8], count: int) -> Iterator[Grey8]:
        shape = self.facts.shape
        for number, image in enumerate(images, 1):
            if number > count:
                raise HilumError(f"{count} images were announced; got more; pass the true number.")
            if image.shape != shape or image.dtype != np.uint8:
                raise HilumError(
                    f"this network was compiled for uint8 images of shape {shape}; got "
                    f"{image.dtype} of shape {image.shape}; use the model's own preparation."
                )
            yield image


@contextmanager
def evaluating(module: "nn.Module") -> Iterator[None]:
    """Put every layer into evaluation mode for a while; each gets its own mode back."""
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode


def _no_progress(done: int, total: int) -> None:
    pass
