"""What every audit may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.data.source_images import open_source_images
from hilum.types import Fingerprints, Floats, GreyImage, Leak, Published, Split, Stack8

if TYPE_CHECKING:
    # torch, which the audits of tables need not load
    from hilum.inference.model import TrainedModel
    from hilum.inference.seen_before import Recognised

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finished run, or one external test; what is None makes its audits answer "unknown"."""

    classes: list[str]
    manifest: pd.DataFrame  # MANIFEST_COLUMNS, readable images only
    predictions: pd.DataFrame  # PREDICTION_COLUMNS and p_<class>, of the chosen cell
    split: Split | None = None
    leaks: list[Leak] = field(default_factory=list)
    facts: pd.DataFrame | None = None  # per sample_id: width, height, bytes, mean, std, ...
    fingerprints: Fingerprints | None = None  # of the same images, in the same order
    stack: Stack8 | None = None  # prepared pixels in the manifest's order
    populations: Mapping[str, str] = field(default_factory=dict)  # dataset -> card.single_age
    seed: int = 0
    model: TrainedModel | None = (
        None  # whose `facts.seen` says which images it was fitted or chosen on
    )
    features: Floats | None = None  # (image, feature) of its backbone, in the manifest's order
    all_predictions: pd.DataFrame | None = None  # of every cell, seed and fold
    external: pd.DataFrame | None = None  # as `predictions`, of the recipe's external test
    published: Sequence[Published] = ()  # the paper's numbers, where the recipe states some
    published_sizes: Mapping[str, int] = field(default_factory=dict)  # class -> images it tested
    recognised: Recognised | None = None  # external test: its images before any was set aside
    thorough: bool = False  # `hilum audit`: slow audits too, and more images in each
    shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(image,) class indices in the manifest's order."""
        return pd.Index(self.classes).get_indexer(self.manifest["label"]).astype(np.int64)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """(image,) patient numbers; an image without a patient is its own group."""
        patients = self.manifest["patient_id"].fillna(self.manifest["sample_id"])
        return pd.factorize(patients)[0].astype(np.int64)

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(image,) whether the model was fitted or chosen on this file, or on one of its bytes."""
        hashes = self.model.facts.seen if self.model is not None else ()
        return self.manifest["sha256"].isin(hashes).to_numpy(bool)

    @property
    def steps(self) -> list[str]:
        """Names of the steps that the model's films go through; none where there is no model."""
        return [] if self.model is None else [step.name for step in self.model.pipeline.steps]

    @property
    def panels(self) -> int:
        """How many pictures of a film are one below the other in `stack`: each is a square."""
        return 1 if self.stack is None else max(1, self.stack.shape[1] // self.stack.shape[2])

    def source_image(self, row: int, at_least: int | None) -> GreyImage:
        """The film (height, width) at a place in the manifest, as `images.read` decodes it.

        Raises HilumError where it can no longer be read.
        """
        film = self.manifest.iloc[row]
        digest = film["sha256"] if isinstance(film["sha256"], str) else ""  # not hashed yet
        return open_source_images().read(film["path"], digest, at_least)

    def once(self, name: str, make: Callable[[], Value]) -> Value:
        """What `make` gives, made by the first audit that needs it and kept for the others."""
        if name not in self.shared:
            self.shared[name] = make()
        value: Value = self.shared[name]
        return value
