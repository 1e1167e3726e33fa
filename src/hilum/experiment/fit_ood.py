"""The chosen model's gate, fitted on its training images and set on its validation images."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.data.source_images import open_source_images
from hilum.experiment import cell_context, evidence
from hilum.experiment.cell_context import CellContext
from hilum.experiment.context import RunContext
from hilum.experiment.select import SelectedCell
from hilum.inference import ood
from hilum.inference.model import TrainedModel
from hilum.preprocess.lungs import segmenter
from hilum.types import Floats, GreyImage, HilumError

MOST = 750  # images of a part whose features the gate is fitted on
TURNED = 60  # training images that are shown to the head in every pose
ASKED = 60  # validation images whose lungs are looked for
SHOWING = 0.95  # share of them with two lungs from which on a film must have two


def fit_ood_detector(run: RunContext, selected: SelectedCell) -> tuple[SelectedCell, list[str]]:
    """The same with a gate, which is written to `model/` too; and what must be said of it.

    A model whose images can no longer be read keeps none, and so refuses little.
    """
    try:
        fitted = _fit(run, selected.model, _cell_context(run, selected))
    except HilumError as error:
        why = str(error).rstrip(".")
        return selected, [f"The model cannot refuse strange images: no gate was fitted, as {why}."]
    ood.save_detector(fitted, run.out / "model")
    return replace(selected, model=replace(selected.model, gate=fitted)), []


def _cell_context(run: RunContext, selected: SelectedCell) -> CellContext:
    """What the cell's folds stood on, with the backbone that it ended with."""
    model, manifest = selected.model, run.dataset.manifest
    labels = np.array([run.classes.index(name) for name in manifest.table["label"]])
    return CellContext(
        selected.recipe, run.classes, manifest, selected.pixels, model.pipeline, model.backbone,
        model.facts.normalise, model.runtime, run.progress, labels.astype(np.int64),
    )  # fmt: skip


def _fit(run: RunContext, model: TrainedModel, context: CellContext) -> ood.OodDetector:
    train, validation = (_rows(run, model, part) for part in ("train", "validation"))
    if not len(validation):
        raise HilumError("its limits are set on validation images, of which there are none")
    posed_films = _read(run, model, train[ood.evenly_spaced(len(train), TURNED)])
    network = evidence.with_kept_answers(model)
    turned = {
        pose: network(np.stack([model.pipeline(ood.posed(film, pose)) for film in posed_films]))
        for pose in ood.POSES
    }
    train, validation = train[ood.evenly_spaced(len(train), MOST)], validation[:MOST]
    fitted = ood.fit_detector(_features(context, train), turned, _features(context, validation))
    films = _read(run, model, validation[ood.evenly_spaced(len(validation), ASKED)])
    finder = segmenter.load_segmenter()
    good = [finder(ood.quick_check(film).small).good for film in films]
    return replace(fitted, lungs=bool(np.mean(good) >= SHOWING))


def _features(context: CellContext, rows: npt.NDArray[np.int64]) -> Floats:
    """(row, feature), of all images at once where that is cheap: audits want them as well."""
    if len(context.labels) <= 2 * MOST or not context.backbone.weights.tuned:
        return np.asarray(cell_context.features(context)[rows])
    return context.runtime(context.pixels.stack[rows])


def _rows(run: RunContext, model: TrainedModel, part: str) -> npt.NDArray[np.int64]:
    """Positions in the manifest of a part of the model's own fold."""
    origin = model.facts.provenance
    table = run.splits[origin["seed"]].table
    rows = table[(table["fold"] == origin["fold"]) & (table["part"] == part)]
    chosen = run.dataset.manifest.table["sample_id"].isin(rows["sample_id"])
    return np.flatnonzero(chosen).astype(np.int64)


def _read(run: RunContext, model: TrainedModel, rows: npt.NDArray[np.int64]) -> list[GreyImage]:
    """Decoded images as `predict` meets them: no step has touched them."""
    table, side = run.dataset.manifest.table.iloc[rows], model.pipeline.decode_side
    sources = open_source_images()
    with ThreadPoolExecutor(files.available_cpus()) as pool:
        read = partial(sources.read, at_least=side)
        return list(pool.map(read, table["path"], table["sha256"]))
