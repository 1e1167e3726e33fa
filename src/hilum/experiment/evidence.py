"""Evidence for the audits: of a run as it ends, and of a finished run's folder."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hilum.audits import Evidence
from hilum.data import feature_cache, prepared_dataset
from hilum.data import manifest as manifests
from hilum.data.kept_answers import KeptAnswers
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import summary
from hilum.experiment.view import plain_key
from hilum.inference import model_folder, model_json
from hilum.inference.model import TrainedModel
from hilum.models.runtime.base import Runtime
from hilum.progress import Progress
from hilum.report import run_folder as folders
from hilum.types import Floats, Leak, LeftOut, Manifest, MissingError, Pixels, Results, Split

MOST = 1500  # images whose features a run computes for its audits alone; `hilum audit` has no limit


@dataclass(frozen=True, slots=True)
class AuditedRun:
    """A finished run and its evidence; `manifest.left_out` says which images are missing."""

    record: Results
    manifest: Manifest
    evidence: Evidence
    pixels: Pixels | None = None  # in the model's preparation; None without images


def with_model(
    evidence: Evidence, model: TrainedModel, prepared: Pixels, progress: Progress
) -> Evidence:
    """The same with a model, the pixels of its own preparation, and their features."""
    features = _features(model, prepared, evidence.thorough, progress)
    keeps = replace(model, runtime=with_kept_answers(model))
    return replace(evidence, model=keeps, stack=prepared.stack, features=features)


def with_kept_answers(model: TrainedModel) -> Runtime:
    """The model's network, its outputs cached where another run may need the same.

    One that was fine-tuned belongs to its run alone; an exported one has a graph that names no
    weights.
    """
    if model.tuned or not model.has_network:
        return model.runtime
    shape = model.pipeline.shape
    none = Pixels(np.empty((0, *shape), np.uint8), (), "any images")
    key = plain_key(none, model.backbone, model.facts.normalise, model.runtime)
    return KeptAnswers(model.runtime, key)


def pixels_for_model(
    model: TrainedModel, dataset: PreparedDataset, digest: str, progress: Progress
) -> Pixels:
    """Pixels in the model's own preparation, without a second pass where the dataset has it."""
    if model.pipeline.digest == digest:
        return dataset.pixels
    return prepared_dataset.prepare_dataset(
        dataset.manifest, model.pipeline, progress("preparing")
    ).pixels


def read_audited_run(folder: Path, data: Path | None, progress: Progress) -> AuditedRun:
    """Everything that a finished run's folder knows; `data` says where its images are now.

    Raises MissingError where the folder is no finished run's, HilumError where it is damaged.
    """
    run = folders.read_run(folder)
    if run.manifest is None or run.predictions is None:
        raise MissingError(
            f"an audit needs a finished run's folder, or a model/ folder; got {str(folder)!r} "
            "without manifest.parquet and predictions.csv; name another."
        )
    record = run.record()
    model = model_folder.load_trained_model(model_json.find_model_folder(folder))
    listed = manifests.read_manifest(folder / "manifest.parquet")
    evidence = Evidence(
        run.classes,
        listed.table,
        run.predictions[run.predictions["cell"] == run.cell].reset_index(drop=True),
        _split(record.split, run.splits),
        [Leak(**row) for row in record.split.get("leaks", [])],
        populations=summary.populations(),
        seed=int(record.split.get("seed", 0)),
        model=model,
        all_predictions=run.predictions,
        published=record.published,
        published_sizes=run.recipe.get("paper", {}).get("tested", {}),
        thorough=True,
    )
    present, with_missing = _present_images(listed, data)
    if present is None:
        return AuditedRun(record, with_missing, evidence)
    dataset = prepared_dataset.prepare_dataset(
        present, model.pipeline, progress("decode and prepare")
    )
    complete = replace(
        evidence,
        manifest=dataset.manifest.table,
        facts=dataset.facts,
        fingerprints=dataset.fingerprints,
    )
    with_features = with_model(complete, model, dataset.pixels, progress)
    return AuditedRun(record, dataset.manifest, with_features, dataset.pixels)


def _present_images(listed: Manifest, data: Path | None) -> tuple[Manifest | None, Manifest]:
    """The images that are still there, or None; and the manifest with those that are not."""
    paths = [_locate(Path(path), data) for path in listed.table["path"]]
    table = listed.table.assign(path=[str(path) if path else "" for path in paths])
    missing = [
        LeftOut(
            str(before), "the image is not there any more; say where images are now with --data"
        )
        for before, path in zip(listed.table["path"], paths, strict=True)
        if path is None
    ]
    left_out = (*listed.left_out, *missing)
    rows = table[table["path"] != ""].reset_index(drop=True)
    with_missing = Manifest(listed.table, left_out, listed.notes)
    return (_unchanged(Manifest(rows, left_out, listed.notes)) if len(rows) else None), with_missing


def _unchanged(present: Manifest) -> Manifest | None:
    """The images whose bytes are still those that the run has read; None where there is none."""
    read = present.table.set_index("sample_id")["sha256"]
    now = prepared_dataset.hashed(present)
    before = now.table["sample_id"].map(read)
    same = before.isna() | (before == now.table["sha256"])
    if not same.any():
        return None
    return manifests.select(now, same, "its bytes are not those that the run has read")


def _locate(path: Path, data: Path | None) -> Path | None:
    """The file itself, or below `data` the one with the longest end of its path."""
    if path.is_file():
        return path
    parts = path.parts[1:] if data else ()
    ends = (Path(*parts[start:]) for start in range(len(parts)))
    return next((data / end for end in ends if data and (data / end).is_file()), None)


def _split(record: Mapping[str, Any], table: pd.DataFrame | None) -> Split | None:
    if table is None:
        return None
    seed = int(record.get("seed", 0))
    rows = table[table["seed"] == seed] if "seed" in table else table
    return Split(
        rows[["sample_id", "fold", "part"]].reset_index(drop=True),
        record.get("kind", "holdout"),
        record.get("grouped_by", "image"),
        seed,
        tuple(record.get("notes", ())),
    )


def _features(
    model: TrainedModel, prepared: Pixels, thorough: bool, progress: Progress
) -> Floats | None:
    """(image, feature): those that training has stored, or computed where that is affordable."""
    if not model.has_network:
        return None
    key = plain_key(prepared, model.backbone, model.facts.normalise, model.runtime)
    stored = feature_cache.is_stored(key)
    if not stored and not thorough and len(prepared.sample_ids) > MOST:
        return None
    return feature_cache.cached(key, lambda: model.runtime(prepared.stack, progress("features")))
