"""Images of a cell as its network sees them: which of them, and what is done with them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.data import feature_cache
from hilum.experiment.cell_context import CellContext
from hilum.experiment.cell_network import CompiledNetwork
from hilum.files.versions import NETWORKS
from hilum.models.backbones import Backbone
from hilum.models.runtime.base import Progress, Runtime
from hilum.types import Floats, Grey8, Pixels, Stack8

Change: TypeAlias = Callable[[Stack8, int], Stack8]  # of a chunk and the place where it begins
Rows: TypeAlias = npt.NDArray[np.int64]  # (image,)


@dataclass(frozen=True, slots=True)
class View:
    """Images of a context as its network sees them: which rows, and what is done with them."""

    context: CellContext
    name: tuple[object, ...]  # of the key, next to pixels and network
    step: str
    rows: Rows
    change: Change
    whole: int | None = None  # rows of the array, if there are more: theirs stay zero

    def key(self, network: CompiledNetwork) -> str:
        """Where its features by a network lie in the store."""
        content = (self.context.pixels, network.backbone, self.context.normalise, network.runtime)
        return files.stable_digest(_network_key(*content), *self.name)

    @property
    def own_key(self) -> str:
        """The same by the context's own network."""
        return self.key(self.context.network)

    def run(self, runtime: Runtime, part: range, progress: Progress) -> Floats:
        """What a network gives for some of the rows (image of the part, output)."""
        return runtime.stream(self._images(part), len(part), progress)

    def among_all(self, found: Floats) -> Floats:
        """Outputs (row of the view, output) in an array of all images, zero for the others."""
        if self.whole is None:
            return found
        out = np.zeros((self.whole, found.shape[1]), np.float32)
        out[self.rows] = found
        return out

    def _images(self, part: range) -> Iterator[Grey8]:
        """Images (height, width) one by one, changed in chunks, so that memory stays flat."""
        for start in range(part.start, part.stop, feature_cache.CHUNK):
            rows = self.rows[start : min(start + feature_cache.CHUNK, part.stop)]
            yield from self.change(self.context.pixels.stack[rows], start)


def plain_key(pixels: Pixels, backbone: Backbone, normalise: str, runtime: Runtime) -> str:
    """Where the features of images as they are lie in the store."""
    return files.stable_digest(_network_key(pixels, backbone, normalise, runtime), "plain")


def _network_key(pixels: Pixels, backbone: Backbone, normalise: str, runtime: Runtime) -> str:
    """Everything that the features depend on besides the view."""
    facts = runtime.facts
    made_by = files.releases(*NETWORKS)
    content = (pixels.digest, backbone.record(), normalise, facts.engine, facts.precision, made_by)
    return files.stable_digest(*content, *([facts.quantised] if facts.quantised else ()))
