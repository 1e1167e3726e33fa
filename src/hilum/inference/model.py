"""The model folder: preparation, weights, head, temperature and provenance, kept together.

The same code executes it in training's own evaluation, predict, evaluate, serve and export, so
that one file has one set of probabilities.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hilum import files, preprocess
from hilum.files import intact
from hilum.inference import new_source, ood, temperature, training_record, unchanged
from hilum.inference.model_json import (
    FORMAT,
    amend,
    amend_files,
    find_model_folder,
    read_metadata,
    require_types,
    well_formed,
    write_record,
)
from hilum.inference.new_source import SourceReference
from hilum.inference.ood import Gate, OodDetector
from hilum.inference.training_record import BuiltOn
from hilum.models.numpy_head import NumpyHead
from hilum.models.runtime import compile_cache, compiling
from hilum.models.runtime.base import Runtime, Target
from hilum.models.runtime.compiling import SavedNetwork
from hilum.preprocess import Pipeline
from hilum.preprocess.lungs import segmenter
from hilum.types import NOTICE, Floats, HilumError, Probabilities, Stack8

if TYPE_CHECKING:  # an answer needs no torch where the network's conversion is found
    import pandas as pd
    from torch import Tensor, nn

    from hilum.models.backbone import Backbone

BUILT_ON = "built_on"  # the key of `model.json` with the numbers of `built_on`
__all__ = [
    "Features",
    "LazyBackbone",
    "ModelMetadata",
    "TrainedModel",
    "amend",
    "amend_files",
    "compile_backbone",
    "compile_features_and_maps",
    "compile_model",
    "find_model_folder",
    "load_trained_model",
    "mirrored",
    "probability_columns",
    "read_metadata",
    "read_parts",
    "save_built_on",
    "save_gate",
    "save_head",
    "save_seen",
    "save_sources",
    "save_trained_model",
]
TENSORS, HEAD = "backbone.safetensors", "head.safetensors"
QUANTISED = "quantised.xml"  # the network in int8; its numbers lie next to it as .bin
FILES = (TENSORS, HEAD, ood.FILE, "seen.csv", training_record.PATIENTS, training_record.FILMS)
SHA256 = re.compile(r"[0-9a-f]{64}")
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


@dataclass(slots=True)
class LazyBackbone:
    """The backbone of a model folder, read when it is first asked for."""

    folder: Path
    record: dict[str, Any]
    _read: "Backbone | None" = None

    @property
    def has_tensors(self) -> bool:
        """Whether the folder has the tensors: an exported one has its graph alone."""
        return (self.folder / TENSORS).is_file()

    def read(self) -> "Backbone":
        """Raises HilumError where the tensors are damaged or do not fit the record."""
        if self._read is None:
            from safetensors.torch import load_file as load_tensors

            from hilum.models import backbones

            path = self.folder / TENSORS
            if not self.has_tensors:
                raise HilumError(
                    "audits of the network need its tensors; got "
                    f"{str(self.folder)!r} without {TENSORS}, as an exported folder is; "
                    "name the model folder that it was made from."
                )
            with readable(self.folder):
                tensors = load_tensors(path)
            unchanged.require_files(self.folder, read_metadata(self.folder), [TENSORS])
            self._read = backbones.rebuild_backbone(self.record, tensors)
        return self._read


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
    network = _normalised_backbone(backbone, normalise, pipeline)
    return compiling.compile_network(network, pipeline.shape, Target(precision))  # type: ignore[arg-type]


def compile_features_and_maps(model: TrainedModel) -> Runtime:
    """Prepared pixels to features and the last map, flattened, in one row: for heat maps.

    In full precision where the model's network is in int8. Raises HilumError where there is none.
    """
    from hilum.models.backbone import BackboneWithMaps

    facts, backbone = model.facts, model.backbone
    precision = "fp32" if facts.quantised else facts.precision
    network = _normalised_backbone(
        backbone, facts.normalise, model.pipeline, BackboneWithMaps(backbone)
    )
    target = Target(precision, alone=True)  # type: ignore[arg-type]
    return compiling.compile_network(network, model.pipeline.shape, target)


def _normalised_backbone(
    backbone: "Backbone", normalise: str, pipeline: Pipeline, rest: "nn.Module | None" = None
) -> "nn.Module":
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


def save_trained_model(model: TrainedModel, folder: Path) -> Path:
    """Write `model.json`, `backbone.`, `head.` and `gate.safetensors`, and `seen.csv`.

    With them `seen_patients.csv` and `seen_films.csv` where it is known what the model was built
    on, and `sources.safetensors` where batches are compared with its sources.
    https://huggingface.co/docs/safetensors
    """
    from safetensors.torch import save_file as save_tensors

    folder.mkdir(parents=True, exist_ok=True)
    facts = model.facts
    record = {
        "format": FORMAT,
        "notice": NOTICE,
        "classes": facts.classes,
        "preparation": {"steps": model.pipeline.as_list(), "normalise": facts.normalise},
        "preparation_digest": model.pipeline.digest,
        "backbone": model.backbone.record(),
        "precision": facts.precision,
        "quantised": facts.quantised,
        "mirror": facts.mirror,
        "temperature": facts.temperature,
        "thresholds": facts.thresholds,
        "conformal": facts.conformal,
        "provenance": facts.provenance,
        **({"judged": facts.judged} if facts.judged else {}),
        **({BUILT_ON: model.built_on.record()} if model.built_on else {}),
        **new_source.as_record(model.sources),
    }
    with files.atomic_write(folder / TENSORS) as path:
        save_tensors(_contiguous(model.backbone.state_dict()), path)
    save_head(folder, model.head)
    _remember_conversion(model, folder)
    if isinstance(model.gate, OodDetector):
        ood.save_detector(model.gate, folder)
    save_seen(folder, facts.seen)
    if model.built_on is not None:
        training_record.save_record(model.built_on, folder)
    new_source.save_reference(model.sources, folder)
    digests = unchanged.digests_of(folder, FILES)
    write_record(folder, {**record, unchanged.KEY: {unchanged.FILES: digests}})
    return folder


def save_head(folder: Path, head: NumpyHead) -> None:
    """Write `head.safetensors`."""
    with files.atomic_write(folder / "head.safetensors") as path:
        # safetensors writes a strided array's buffer as it lies in memory
        save_file({k: np.ascontiguousarray(v) for k, v in head.arrays().items()}, path)


def save_seen(folder: Path, seen: tuple[str, ...]) -> None:
    """Write `seen.csv`: the SHA-256 of each file that the model was built on."""
    with files.atomic_write(folder / "seen.csv") as path:
        path.write_text("\n".join(["sha256", *seen]) + "\n")


def save_built_on(folder: Path, built: BuiltOn) -> None:
    """Write what a model was built on to its folder."""
    training_record.save_record(built, folder)
    amend_files(
        folder, {BUILT_ON: built.record()}, (training_record.PATIENTS, training_record.FILMS)
    )


def save_gate(folder: Path, gate: OodDetector) -> None:
    """Write an out-of-distribution gate to a model's folder."""
    ood.save_detector(gate, folder)
    amend_files(folder, {}, (ood.FILE,))


def save_sources(folder: Path, sources: SourceReference | str) -> None:
    """Write what a batch's source is recognised by to a model's folder."""
    new_source.save_reference(sources, folder)
    amend(folder, new_source.as_record(sources))


def load_trained_model(folder: Path) -> TrainedModel:
    """Read a model folder and compile it; raises what `read_parts` does.

    The network is not built where the conversion of the very same files is found.
    """
    with well_formed(folder):
        return _load(folder)


def _load(folder: Path) -> TrainedModel:
    facts, pipeline, held, head = _parts(folder)
    record = read_metadata(folder)
    beside = (
        ood.load_detector(folder),
        training_record.load_record(folder, record.get(BUILT_ON)),
        new_source.load_reference(folder, record.get(new_source.KEY)),
    )
    if facts.quantised:
        engine = _quantised(folder, facts.quantised, pipeline)
        return TrainedModel(facts, pipeline, held, head, engine, *beside)
    with readable(folder):
        decides = _network_identity(folder, held.record, facts)
    unchanged.require_files(folder, record, [TENSORS])
    saved = SavedNetwork(
        decides, lambda: _normalised_backbone(held.read(), facts.normalise, pipeline)
    )
    engine = compiling.compile_saved(saved, pipeline.shape, Target(facts.precision))  # type: ignore[arg-type]
    return TrainedModel(facts, pipeline, held, head, engine, *beside)


def _network_identity(
    folder: Path, record: dict[str, Any], facts: ModelMetadata
) -> tuple[object, ...]:
    """What decides the network of a model folder."""
    return intact.sha256_once(folder / TENSORS), record, facts.normalise


def _remember_conversion(model: TrainedModel, folder: Path) -> None:
    """Let `load` find the conversion that the model was tested with, and build no network."""
    if model.runtime.network is None or model.facts.quantised:
        return
    from hilum.models.runtime import conversion

    record, shape = model.backbone.record(), model.pipeline.shape
    network = _normalised_backbone(model.backbone, model.facts.normalise, model.pipeline)
    saved = SavedNetwork(_network_identity(folder, record, model.facts), lambda: network)
    sources = conversion.layer_sources(network)
    compile_cache.remember_conversion(saved, shape, model.runtime.network, sources)


def _quantised(folder: Path, fingerprint: str, pipeline: Pipeline) -> Runtime:
    with readable(folder):
        actual = compile_cache.conversion_digest(folder / QUANTISED)
    if actual != fingerprint:
        raise HilumError(
            f"the int8 network of {folder} must be the one that was tested; got "
            "another; restore the folder."
        )
    return compiling.compile_quantised(folder / QUANTISED, pipeline.shape)


def read_parts(folder: Path) -> "tuple[ModelMetadata, Pipeline, Backbone, NumpyHead]":
    """The parts of a model folder, nothing compiled.

    Raises MissingError where there is none, HilumError where it is damaged or its preparation is
    not the one that this version executes.
    """
    facts, pipeline, held, head = _parts(folder)
    return facts, pipeline, held.read(), head


def _parts(folder: Path) -> tuple[ModelMetadata, Pipeline, LazyBackbone, NumpyHead]:
    record = read_metadata(folder)
    with well_formed(folder):
        pipeline, facts = pipeline_of(record, folder), metadata_of(record, folder)
        held = LazyBackbone(folder, record["backbone"])
    with readable(folder):
        head = NumpyHead.from_arrays(load_file(folder / HEAD))
    unchanged.require_files(folder, record, [name for name in FILES if name != TENSORS])
    return facts, pipeline, held, head


def pipeline_of(record: dict[str, Any], folder: Path) -> Pipeline:
    """The preparation of a folder's `model.json`; HilumError where it would be another one here."""
    pipeline = preprocess.from_list(record["preparation"]["steps"], segmenter.load_segmenter)
    if pipeline.digest != record["preparation_digest"]:
        raise HilumError(
            f"the preparation in {folder} must run as it did in training; got another "
            "version of its steps; install the hilum version named in model.json's "
            "provenance."
        )
    return pipeline


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """One sentence where the tensors of a model folder cannot be read."""
    try:
        yield
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HilumError(
            f"the tensors of {folder} must be readable; got {error}; restore the folder."
        ) from None


def metadata_of(record: dict[str, Any], folder: Path) -> ModelMetadata:
    """What a folder's `model.json` says, and the files that its model has seen."""
    require_types(record)
    return ModelMetadata(
        record["classes"],
        record["preparation"]["normalise"],
        record["precision"],
        record["mirror"],
        record["temperature"],
        record["thresholds"],
        record["provenance"],
        _seen(folder / "seen.csv"),
        record.get("conformal", {}),
        record.get("quantised", ""),
        record.get("judged", {}),
    )


def _seen(path: Path) -> tuple[str, ...]:
    """The SHA-256 of a model's own files; ValueError for a list that is damaged."""
    if not path.is_file():
        return ()
    head, *rows = path.read_text(encoding="utf-8").split() or [""]
    if head != "sha256" or not all(map(SHA256.fullmatch, rows)):
        raise ValueError(f"{path.name} is not a list of SHA-256")
    return tuple(rows)


def _contiguous(state: "dict[str, Tensor]") -> "dict[str, Tensor]":
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
