"""The model folder: a trained classifier written and read, each part with its digest."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file

from hilum import files, preprocess
from hilum.files import intact
from hilum.inference import new_source, ood, training_record, unchanged
from hilum.inference.lazy_backbone import TENSORS, LazyBackbone, readable
from hilum.inference.model import ModelMetadata, TrainedModel, normalised_backbone
from hilum.inference.model_json import (
    FORMAT,
    amend,
    amend_files,
    read_metadata,
    require_types,
    well_formed,
    write_record,
)
from hilum.inference.new_source import SourceReference
from hilum.inference.ood import OodDetector
from hilum.inference.training_record import BuiltOn
from hilum.models.numpy_head import NumpyHead
from hilum.models.runtime import compile_cache, compiling
from hilum.models.runtime.base import Runtime, Target
from hilum.models.runtime.compiling import SavedNetwork
from hilum.preprocess import Pipeline
from hilum.preprocess.lungs import segmenter
from hilum.types import NOTICE, HilumError

if TYPE_CHECKING:  # an answer needs no torch where the network's conversion is found
    from torch import Tensor

    from hilum.models.backbone import Backbone

BUILT_ON = "built_on"  # the key of `model.json` with the numbers of `built_on`
HEAD = "head.safetensors"
QUANTISED = "quantised.xml"  # the network in int8; its numbers lie next to it as .bin
FILES = (TENSORS, HEAD, ood.FILE, "seen.csv", training_record.PATIENTS, training_record.FILMS)
SHA256 = re.compile(r"[0-9a-f]{64}")


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
    with files.atomic_write(folder / HEAD) as path:
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
        decides, lambda: normalised_backbone(held.read(), facts.normalise, pipeline)
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
    network = normalised_backbone(model.backbone, model.facts.normalise, model.pipeline)
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
        arrays = load_file(folder / HEAD)
    # before what a changed file would say of itself
    unchanged.require_files(folder, record, [name for name in FILES if name != TENSORS])
    with readable(folder):
        head = NumpyHead.from_arrays(arrays)
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
