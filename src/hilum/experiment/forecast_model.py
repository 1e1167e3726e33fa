"""What predict and evaluate would read and take, found out without writing anything."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum import files
from hilum.data import prepared_dataset
from hilum.experiment import evaluate, predict, speed
from hilum.experiment.forecast import counted
from hilum.inference import cautions, exported, model_json
from hilum.inference.model import TrainedModel
from hilum.progress import Progress
from hilum.types import HilumError, LeftOut, Manifest

TRIED = "from a trial on this machine, as busy as it is now: {count} images decoded and answered"


@dataclass(frozen=True, slots=True)
class ModelForecast:
    """What a finished model would do; `seconds` is None where no trial could be made."""

    images: int
    counts: list[dict[str, Any]]  # predict: file type, images; evaluate: class, source, images
    left_out: list[LeftOut]
    cached: int  # images that are prepared already
    seen: int  # files that the model was built on: no test of it
    passes: int  # images through the network
    seconds: float | None
    estimate: str  # how `seconds` was found, or why it was not
    verdict: str


def forecast_predict(folder: Path, paths: Sequence[Path]) -> ModelForecast:
    """Of `predict_files`; raises as it does."""
    with files.scratch_cache():
        model = exported.load(model_json.find_model_folder(folder))
        listed, left_out = predict.list_images(paths, "predict")
        kinds = Counter(path.suffix.lower() or "no suffix" for path in listed)
        each, estimate = _seconds(model, [str(path) for path in listed])
    passes = len(listed) * (1 + model.facts.mirror)
    return ModelForecast(
        len(listed),
        [{"file type": kind, "images": count} for kind, count in sorted(kinds.items())],
        left_out,
        0,
        0,
        passes,
        None if each is None else each[0] * len(listed) + each[1] * passes,
        estimate,
        cautions.verdict_line(model.facts.judged),
    )


def forecast_evaluate(
    folder: Path, data: Path, progress: Progress, read: Callable[[Path], Manifest]
) -> ModelForecast:
    """Of `evaluate_model`; raises as it does."""
    with files.scratch_cache():
        model = exported.load(model_json.find_model_folder(folder))
    manifest = evaluate.select_classes(read(data), model.facts.classes)
    manifest = prepared_dataset.hashed(manifest, progress=progress("read files"))
    cached, _ = prepared_dataset.stored_dataset(manifest, model.pipeline)
    known = {*model.facts.seen, *((model.built_on and model.built_on.films) or ())}
    seen = int(manifest.table["sha256"].isin(known).sum())
    new = len(manifest.table) - seen
    with files.scratch_cache():
        each, estimate = _seconds(model, manifest.table["path"].tolist())
    passes, seconds = new * (1 + model.facts.mirror), None
    if each is not None:
        measured = speed.Speed(*each)
        decode = measured.decode * (len(manifest.table) - cached)
        seconds = decode + measured.frozen * passes + measured.audits(new)
        estimate += "; scores, audits and report by experience"
    return ModelForecast(
        len(manifest.table),
        counted(manifest.table, ["label", "source"]),
        list(manifest.left_out),
        cached,
        seen,
        passes,
        seconds,
        estimate,
        cautions.verdict_line(model.facts.judged),
    )


def _seconds(model: TrainedModel, paths: Sequence[str]) -> tuple[tuple[float, float] | None, str]:
    """Seconds per image of decoding and of a pass, or None; and in words how."""
    tried = speed.spread(paths)
    try:
        decode, prepared = speed.decoding(tried, model.pipeline)
    except HilumError as error:
        return None, f"not estimated: {error}"
    return (decode, speed.passing(model.runtime, prepared)), TRIED.format(count=len(prepared))
