"""The line from a trained model to an exported folder: graph, record, proof, files."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hilum import files
from hilum.exporting import engines, packages, proof, proof_images, record, variants
from hilum.exporting.graph import ExportGraph
from hilum.exporting.proof import Answers
from hilum.exporting.proof_images import ProofImages
from hilum.exporting.variants import Variant
from hilum.inference import exported, model_json, training_record
from hilum.inference import model as models
from hilum.inference.model import TrainedModel
from hilum.progress import Progress
from hilum.types import HilumError

SEEN = ("seen.csv", training_record.PATIENTS, training_record.FILMS)
EVERY_FILE = (*record.GRAPHS.values(), "model.bin", record.FILE, proof.FILE, *SEEN, model_json.FILE)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is wanted: the file's form, its precision, and the images of the proof or None."""

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
    folder = models.find_model_folder(folder)
    if exported.is_exported(folder):
        raise HilumError(
            f"export wants a trained model's folder; got {str(folder)!r}, which is an export; name "
            "the folder that it was made from."
        )
    model = models.load_trained_model(folder)
    graph = ExportGraph(model)
    out = files.ensure_writable_folder(out)
    shown = proof_images.gathered(
        request.proof, model.facts.classes, model.pipeline, progress("images of the proof")
    )
    described = record.of(model, folder, graph, request.format, request.precision)
    with _moved_when_whole(out) as place:
        proven, described = _proven(Work(model, graph, request, shown), place, described, progress)
        _write_json(place / record.FILE, described)
        _write_json(place / proof.FILE, proven)
        for name in SEEN:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, place / name)
        _write_json(place / model_json.FILE, _model_record(folder, place, described))
    return Exported(out, out / described["graph"], proven, described)


@dataclass(frozen=True, slots=True)
class Work:
    """What an export is made of."""

    model: TrainedModel
    graph: ExportGraph
    request: ExportRequest
    shown: ProofImages

    def variants(self) -> Iterator[Variant]:
        """The forms of the graph to try."""
        return variants.of(self.graph, self.request.format, self.request.precision, self.shown)


def _proven(
    work: Work, place: Path, described: dict[str, Any], progress: Progress
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the graph to `place`; its proof and its record. RefusedExportError without a proof."""
    advance, request = progress("write and prove"), work.request
    want = proof.own_answers(_in_full_precision(work.model), work.shown)
    by_torch = proof.engine_answers(work.model, work.shown, engines.torch_rows(work.graph))
    faults: list[str] = []
    for number, variant in enumerate(work.variants(), 1):
        written = {**described, **variant.facts}
        path = variant.write(place / described["graph"], written)
        chosen = variant.proven_on
        shown = work.shown.part(chosen)
        answers = {"torch": by_torch.part(chosen), **_file_answers(work, path, shown)}
        rows = proof.compare(want.part(chosen), answers, shown.labels)
        faults = proof.faults(rows, request.precision, len(shown.films))
        advance(number, number)
        if not faults:
            more = {"tested_precision": work.model.facts.precision, **variant.facts}
            return proof.record(rows, request.precision, shown, more), written
    raise proof.refused(faults, request.precision)


def _file_answers(work: Work, path: Path, shown: ProofImages) -> dict[str, Answers]:
    """What every engine that reads the graph's file answers."""
    answering = {}
    if work.request.format == "onnx":
        answering["ONNX Runtime"] = engines.onnxruntime_rows(path)
    answering["OpenVINO"] = engines.openvino_rows(path, work.request.precision)
    return {
        engine: proof.engine_answers(work.model, shown, rows) for engine, rows in answering.items()
    }


def _in_full_precision(model: TrainedModel) -> TrainedModel:
    """The model as it is, or compiled again where it computes in bf16."""
    if model.facts.precision == "fp32":
        return model
    facts = replace(model.facts, precision="fp32")
    engine = models.compile_backbone(model.backbone, facts.normalise, model.pipeline, "fp32")
    return replace(model, facts=facts, runtime=engine)


def _model_record(folder: Path, place: Path, described: dict[str, Any]) -> dict[str, Any]:
    """`model.json` of the export: the model's own, and what belongs to the graph."""
    names = sorted(path.name for path in place.iterdir())
    part = {
        "graph": described["graph"],
        "format": described["graph_format"],
        "precision": described["precision"],
        "abstention": described["abstention"],
        "weights_digest": described["weights_digest"],
        "files": {name: files.sha256(place / name) for name in names},
    }
    return {**models.read_metadata(folder), exported.KEY: part}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _moved_when_whole(out: Path) -> Iterator[Path]:
    """A folder beside `out` whose files go there at the end.

    `model.json` leaves first and comes last: half an export is none.
    """
    place = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield place
        for name in reversed(EVERY_FILE):
            (out / name).unlink(missing_ok=True)
        for name in EVERY_FILE:
            if (place / name).is_file():
                (place / name).rename(out / name)
    finally:
        shutil.rmtree(place, ignore_errors=True)
