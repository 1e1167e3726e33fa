"""The line from a trained model to an exported folder: graph, record, proof, files."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from hilum import files
from hilum.exporting import engines, packages, proof, proof_images, record, variants
from hilum.exporting.engines import Rows
from hilum.exporting.graph import ExportGraph
from hilum.exporting.proof import EngineAnswers, EngineProof
from hilum.exporting.proof_images import ProofImages
from hilum.exporting.variants import Variant
from hilum.inference import exported, model_folder, model_json, training_record, unchanged
from hilum.inference import model as models
from hilum.inference.model import TrainedModel
from hilum.preprocess.lungs import carried
from hilum.progress import Progress, StepName
from hilum.types import HilumError

FEW = 64  # closest decisions: where more of them flip than may of all, no other image is needed
SEEN = ("seen.csv", training_record.PATIENTS, training_record.FILMS)
GRAPH_FILES = (*packages.GRAPHS.values(), "model.bin", *carried.NAMES)
EVERY_FILE = (record.FILE, *GRAPH_FILES, proof.FILE, *SEEN, model_json.FILE)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is expected: the file's form, its precision, and the images of the proof or None."""

    format: str = "onnx"
    precision: str = "fp32"
    proof: Path | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export: its folder, what proved it, and what its record says."""

    folder: Path
    graph: Path
    proof: dict[str, Any]  # proof.json
    record: dict[str, Any]  # preparation.json

    @property
    def engines(self) -> list[dict[str, Any]]:
        """The proof's row of each engine."""
        return list(self.proof["engines"])


def export(folder: Path, out: Path, request: ExportRequest, progress: Progress) -> Exported:
    """Write the model of `folder` (a model's, or a finished run's) to the folder `out`.

    `out` is read as a model by predict and evaluate. Raises HilumError for what cannot be exported
    or a package that is missing, RefusedExportError where the proof fails: `out` stays as it was.
    """
    packages.require(request.format, request.precision, proof=request.proof is not None)
    folder = model_json.find_model_folder(folder)
    if exported.is_exported(folder):
        raise HilumError(
            f"export needs a trained model's folder; got {str(folder)!r}, which is an "
            "export; name the folder that it was made from."
        )
    _require_no_model(out)
    model = model_folder.load_trained_model(folder)
    graph = ExportGraph(model)
    out = files.ensure_writable_folder(out)
    shown = proof_images.load_images(
        request.proof, model.facts.classes, model.pipeline, progress("images of the proof")
    )
    described = record.of(model, folder, graph, request.format, request.precision)
    with files.alone(out, what="export"), files.moved_when_whole(out, EVERY_FILE) as place:
        proven, described = _prove(
            ExportWork(model, graph, request, shown), place, described, progress
        )
        _write_json(place / record.FILE, described)
        _write_json(place / proof.FILE, proven)
        for name in SEEN:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, place / name)
        lungs = lungs_for(model, place)
        _write_json(place / model_json.FILE, _model_record(folder, place, described, lungs))
    return Exported(out, out / described["graph"], proven, described)


@dataclass(frozen=True, slots=True)
class ExportWork:
    """What an export is made of."""

    model: TrainedModel
    graph: ExportGraph
    request: ExportRequest
    shown: ProofImages

    def variants(self, progress: Progress) -> Iterator[Variant]:
        """The forms of the graph to try."""
        form = (self.request.format, self.request.precision)
        return variants.of(self.graph, form, self.shown, progress)

    def readers(self) -> dict[str, Callable[[Path], Rows]]:
        """Every engine that reads the graph's file."""
        by_openvino = partial(engines.openvino_rows, precision=self.request.precision)
        if self.request.format == "openvino":
            return {"OpenVINO": by_openvino}
        return {"ONNX Runtime": engines.onnxruntime_rows, "OpenVINO": by_openvino}


@dataclass(frozen=True)
class Judge:
    """Hilum's own answers in full precision, which those of every engine are compared with."""

    work: ExportWork
    own: EngineAnswers

    @cached_property
    def torch_answers(self) -> EngineAnswers:
        """What torch makes of the graph: the same for every form of its file."""
        return proof.engine_answers(
            self.work.model, self.work.shown, engines.torch_rows(self.work.graph)
        )

    def by_torch(self, positions: Sequence[int]) -> EngineProof:
        """The graph itself on some of the images."""
        labels = self.work.shown.part(positions).labels
        answers = {"torch": self.torch_answers.part(positions)}
        return proof.compare(self.own.part(positions), answers, labels)[0]

    def by_file(
        self, path: Path, positions: Sequence[int], *, labelled: bool = True
    ) -> Iterator[EngineProof]:
        """A written graph on some of the images, engine by engine."""
        shown, own = self.work.shown.part(positions), self.own.part(positions)
        labels = shown.labels if labelled else np.full(len(positions), -1)
        for engine, read in self.work.readers().items():
            answers = {engine: proof.engine_answers(self.work.model, shown, read(path))}
            yield from proof.compare(own, answers, labels)

    def is_hopeless(self, path: Path, positions: Sequence[int]) -> bool:
        """Whether by some engine more of the closest decisions flip than may flip of all."""
        few = [positions[i] for i in proof.closest(self.own.part(positions), FEW)]
        return any(
            proof.faults([row], self.work.request.precision, len(positions))
            for row in self.by_file(path, few, labelled=False)  # AUROC is a matter of all images
        )


def _prove(
    work: ExportWork, place: Path, described: dict[str, Any], progress: Progress
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the graph to `place`; its proof and its record. RefusedExportError without a proof."""
    advance = progress(StepName("write and prove", "forms"))
    precision = work.request.precision
    judge = Judge(work, proof.own_answers(_in_full_precision(work.model), work.shown))
    for number, variant in enumerate(work.variants(progress), 1):
        record_of_form, positions = {**described, **variant.facts}, variant.proven_on
        path = variant.write(place / described["graph"], record_of_form)
        advance(number, number + variant.followed_by)
        if variant.followed_by and judge.is_hopeless(path, positions):
            continue
        rows = list(judge.by_file(path, positions))
        faults = proof.faults(rows, precision, len(positions))
        if not faults:
            rows = [judge.by_torch(positions), *rows]
            faults = proof.faults(rows, precision, len(positions))
        if not faults:
            more = {"tested_precision": work.model.facts.precision, **variant.facts}
            shown = work.shown.part(positions)
            return proof.record(rows, precision, shown, more), record_of_form
    raise proof.refused(faults, precision, variant.facts)


def _in_full_precision(model: TrainedModel) -> TrainedModel:
    """The model as it is, or compiled again where it computes in bf16."""
    if model.facts.precision == "fp32":
        return model
    facts = replace(model.facts, precision="fp32")
    engine = models.compile_backbone(model.backbone, facts.normalise, model.pipeline, "fp32")
    return replace(model, facts=facts, runtime=engine)


def lungs_for(model: TrainedModel, place: Path) -> str:
    """Write the lung network to `place` where this model needs it; its digest, or ""."""
    asks = model.gate is not None and model.gate.lungs
    return carried.write(place) if asks or carried.is_needed(model.pipeline) else ""


def _model_record(
    folder: Path, place: Path, described: dict[str, Any], lungs: str
) -> dict[str, Any]:
    """`model.json` of the export: the model's own, and what belongs to the graph."""
    names = sorted(path.name for path in place.iterdir())
    record = model_json.read_metadata(folder)
    record.pop(unchanged.KEY, None)  # an export has digests of its own
    part = {
        "graph": described["graph"],
        "format": described["graph_format"],
        "precision": described["precision"],
        "abstention": described["abstention"],
        "weights_digest": described["weights_digest"],
        "lungs": lungs,
        "files": {name: files.sha256(place / name) for name in names},
    }
    own = exported.digest_of_record({**record, exported.KEY: part})
    return {**record, exported.KEY: {**part, exported.RECORD: own}}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _require_no_model(out: Path) -> None:
    """HilumError where `out` is a trained model's folder or a run's: an export would spoil it."""
    if (model_json.find_model_folder(out) / model_folder.HEAD).is_file():
        raise HilumError(
            f"--out must be a folder of its own; got {str(out)!r}, which has a trained model; "
            "choose another."
        )
    files.require_own_export(out, EVERY_FILE, record.MARK)
