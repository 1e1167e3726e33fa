"""Features of some training images, kept to see what a change of the head costs at their sources.

As the head sees them: the mean of an image and its mirror image, in steps of a twentieth of a
standard deviation. Only for heads of one layer, to which that mean is all that there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.inference.stored_arrays import Arrays, digest_of, load_unchanged, save_arrays
from hilum.models.numpy_head import NumpyHead
from hilum.types import Floats, Labels

FILE, KEY = "kept_films.safetensors", "kept_films"  # in the model folder, and of `model.json`
MOST = 240  # images
STEP, TOP = 0.05, 127  # standard deviations of a level, and the highest level
MISSING = f"the model's folder has no {FILE}, because an earlier version made it or it was deleted"
DEEP = "the model's head has several layers"


@dataclass(frozen=True, slots=True)
class KeptFilms:
    """Images of training in few bits."""

    mean: Floats  # (feature,)
    deviation: Floats  # (feature,)
    levels: npt.NDArray[np.int8]  # (image, feature) in steps of STEP
    labels: Labels  # (image,)
    sources: tuple[str, ...]  # (image,)

    @classmethod
    def of(cls, features: Floats, labels: Labels, sources: tuple[str, ...]) -> "KeptFilms":
        """Of features (image, feature) as the head sees them."""
        mean, deviation = features.mean(0), features.std(0)
        deviation = np.where(deviation > 1e-6, deviation, 1.0)
        levels = np.clip(np.round((features - mean) / deviation / STEP), -TOP, TOP)
        return cls(
            mean.astype(np.float32), deviation.astype(np.float32), levels.astype(np.int8),
            labels, sources,
        )  # fmt: skip

    @property
    def features(self) -> Floats:
        """(image, feature) as they are read back."""
        return (self.levels * np.float32(STEP)) * self.deviation + self.mean

    @property
    def digest(self) -> str:
        """SHA-256 of what is stored."""
        return digest_of(_arrays(self), self.sources)

    def record(self) -> dict[str, Any]:
        """What `model.json` says of them."""
        return {"file": FILE, "sha256": self.digest, "sources": list(self.sources)}


def is_plain(head: NumpyHead) -> bool:
    """Whether the mean of an image's and its mirror image's features decides its logits."""
    return len(head.layers) == 1


def save_kept(kept: KeptFilms, folder: Path) -> None:
    """Write `kept_films.safetensors` to a model folder."""
    save_arrays(_arrays(kept), folder / FILE)


def load_kept(folder: Path, record: Mapping[str, Any] | None) -> KeptFilms | str:
    """Read them back by what `model.json` says; without them the reason.

    Raises HilumError where the file is not the one that was written.
    """
    if record is None or not (folder / FILE).is_file():
        return MISSING

    def build(read: dict[str, Any]) -> KeptFilms:
        return KeptFilms(
            read["mean"], read["deviation"], read["levels"], read["labels"].astype(np.int64),
            tuple(record["sources"]),
        )  # fmt: skip

    return load_unchanged(folder / FILE, build, record, "delete the file")


def _arrays(kept: KeptFilms) -> Arrays:
    return {
        "mean": np.ascontiguousarray(kept.mean, np.float32),
        "deviation": np.ascontiguousarray(kept.deviation, np.float32),
        "levels": np.ascontiguousarray(kept.levels),
        "labels": kept.labels.astype(np.int32),
    }
