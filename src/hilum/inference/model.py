"""A trained classifier in memory: preparation, network, head and temperature.

The same code executes it in training's own evaluation, predict, evaluate, serve and export, so
that one file has one set of probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hilum.inference import new_source, temperature
from hilum.inference.lazy_backbone import LazyBackbone
from hilum.inference.new_source import SourceReference
from hilum.inference.ood import Gate
from hilum.inference.training_record import BuiltOn
from hilum.models.numpy_head import NumpyHead
from hilum.models.runtime import compiling
from hilum.models.runtime.base import Runtime, Target
from hilum.preprocess import Pipeline
from hilum.types import Floats, Probabilities, Stack8

if TYPE_CHECKING:  # an answer needs no torch where the network's conversion is found
    import pandas as pd
    from torch import nn

    from hilum.models.backbone import Backbone

Progress = Callable[[int, int], None]
Features: TypeAlias = tuple[Floats, Floats | None]  # (image, feature) of films and their mirrors


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What `model.json` holds besides the backbone's and the head's own records."""

    classes: list[str]
    normalise: str
    precision: str  # "bf16", "fp32" or "int8", as used when it was tested
    mirror: bool  # average each image with its mirror image
    temperature: float = 1.0
    thresholds: dict[str, float] = field(default_factory=dict)  # class -> p for 90% sensitivity
    provenance: dict[str, Any] = field(default_factory=dict)
    seen: tuple[str, ...] = ()  # SHA-256 of the files that it was fitted or chosen on
    conformal: dict[str, float] = field(default_factory=dict)  # class -> least p that is possible
    quantised: str = ""  # fingerprint of the network in int8, where precision is
    judged: dict[str, Any] = field(default_factory=dict)  # see `verdicts`; empty: not recorded


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained classifier, ready to run."""

    facts: ModelMetadata
    pipeline: Pipeline
    held: "Backbone | LazyBackbone"
    head: NumpyHead
    runtime: Runtime
    gate: Gate | None = None  # None: made by a version that refused no image
    built_on: BuiltOn | None = None  # None: made by a version that kept no such record
    sources: SourceReference | str = new_source.EARLIER  # or why no batch is compared with any
    graph: Path | None = None  # file of an exported model, which has its network there alone

    @property
    def backbone(self) -> "Backbone":
        """The network without input normalisation and head."""
        return self.held.read() if isinstance(self.held, LazyBackbone) else self.held

    @property
    def has_network(self) -> bool:
        """Whether its backbone can be read: an exported model is a graph alone."""
        return not isinstance(self.held, LazyBackbone) or self.held.has_tensors

    @property
    def tuned(self) -> bool:
        """Whether the network was trained on images here; its tensors are not read for that."""
        from hilum.models import weights

        held = self.held
        return weights.is_tuned(
            str(held.record["origin"]) if isinstance(held, LazyBackbone) else held.weights.origin
        )

    def logits(self, stack: Stack8, progress: Progress | None = None) -> Probabilities:
        """Prepared uint8 (image, height, width) -> uncalibrated logits (image, class)."""
        return self.from_features(*self.features(stack, progress))

    def features(self, stack: Stack8, progress: Progress | None = None) -> Features:
        """Prepared uint8 (image, height, width) -> features of the images and of their mirrors.

        In one call, so that one film and its mirror image are computed side by side; no copy of
        the stack is made.
        """
        if not self.facts.mirror:
            return self.runtime(stack, progress), None
        count = len(stack)
        both = self.runtime.stream(chain(stack, stack[:, :, ::-1]), 2 * count, progress)
        return both[:count], both[count:]

    def from_features(self, plain: Floats, mirror: Floats | None) -> Probabilities:
        """Features (image, feature) of the images and of their mirror images -> logits."""
        logits = self.head.logits(plain)
        return logits if mirror is None else (logits + self.head.logits(mirror)) / 2

    def probabilities(self, stack: Stack8, progress: Progress | None = None) -> Probabilities:
        """Prepared uint8 (image, height, width) -> calibrated probabilities (image, class)."""
        return self.calibrated(self.logits(stack, progress))

    def calibrated(self, logits: Probabilities) -> Probabilities:
        """(image, class) -> probabilities at the model's temperature, rounded as they are written.

        Eight decimals: the same number in memory, in CSV and after reading it back.
        """
        return np.round(temperature.apply_temperature(logits, self.facts.temperature), 8)

    def table(self, logits: Probabilities) -> "pd.DataFrame":
        """(image, class) logits -> columns p_<class>."""
        import pandas as pd  # a server has no tables: half a second of each of its processes

        return pd.DataFrame(
            self.calibrated(logits), columns=probability_columns(self.facts.classes)
        )


def probability_columns(classes: list[str]) -> list[str]:
    """The probability columns of a predictions table."""
    return [f"p_{name}" for name in classes]


def mirrored(stack: Stack8) -> Stack8:
    """(image, height, width) -> each image mirrored left to right.

    Averaging over mirror images in testing: Krizhevsky et al. 2012, doi:10.1145/3065386.
    """
    return np.ascontiguousarray(stack[:, :, ::-1])


def compile_backbone(
    backbone: "Backbone", normalise: str, pipeline: Pipeline, precision: str
) -> Runtime:
    """Prepared pixels to pooled features: normalisation and network, compiled here."""
    network = normalised_backbone(backbone, normalise, pipeline)
    return compiling.compile_network(network, pipeline.shape, Target(precision))  # type: ignore[arg-type]


def compile_features_and_maps(model: TrainedModel) -> Runtime:
    """Prepared pixels to features and the last map, flattened, in one row: for heat maps.

    In full precision where the model's network is in int8. Raises HilumError where there is none.
    """
    from hilum.models.backbone import BackboneWithMaps

    facts, backbone = model.facts, model.backbone
    precision = "fp32" if facts.quantised else facts.precision
    network = normalised_backbone(
        backbone, facts.normalise, model.pipeline, BackboneWithMaps(backbone)
    )
    target = Target(precision, alone=True)  # type: ignore[arg-type]
    return compiling.compile_network(network, model.pipeline.shape, target)


def normalised_backbone(
    backbone: "Backbone", normalise: str, pipeline: Pipeline, rest: "nn.Module | None" = None
) -> "nn.Module":
    """Input normalisation, then the backbone or `rest`; HilumError for a size it cannot take."""
    from torch import nn

    from hilum.models import backbones
    from hilum.models.normalise import InputNormalisation

    backbones.require_size(backbone.card, pipeline.shape)
    return nn.Sequential(InputNormalisation(normalise), rest or backbone)


def compile_model(
    facts: ModelMetadata, pipeline: Pipeline, backbone: "Backbone", head: NumpyHead
) -> TrainedModel:
    """A model whose runtime is compiled here."""
    engine = compile_backbone(backbone, facts.normalise, pipeline, facts.precision)
    return TrainedModel(facts, pipeline, backbone, head, engine)
