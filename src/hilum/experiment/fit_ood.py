"""The chosen model's gate, and what it recognises a new source by.

The gate is fitted on training images and set on validation images. Sources are compared by images
whose features are like new ones': where the backbone stayed frozen, training images as well.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.data.source_images import open_source_images
from hilum.experiment import cell_features, evidence
from hilum.experiment.cell_context import CellContext
from hilum.experiment.context import RunContext
from hilum.experiment.select import SelectedCell
from hilum.inference import kept_films, model_folder, model_json, new_source, ood
from hilum.inference import model as models
from hilum.inference.model import TrainedModel
from hilum.preprocess.lungs import segmenter
from hilum.types import Floats, GreyImage, HilumError

MOST = 750  # images of a part whose features the gate is fitted on
POSE_SAMPLE = 60  # training images that are shown to the head in every pose
LUNG_SAMPLE = 60  # validation images that are searched for lungs
BASIS, KNOWN = 400, 1000  # images that components are found on, and that new ones are compared with
LUNG_SHARE = 0.95  # share of them with two lungs from which on a film must have two


def fit_gates(run: RunContext, selected: SelectedCell) -> tuple[SelectedCell, list[str]]:
    """The cell with both checks of what it is shown, and the limits of the first as notes."""
    selected, limits = fit_ood_detector(run, selected)
    return fit_source_reference(run, selected), limits


def fit_ood_detector(run: RunContext, selected: SelectedCell) -> tuple[SelectedCell, list[str]]:
    """The cell with an out-of-distribution gate, also written to `model/`, and its limits as notes.

    A model whose images can no longer be read keeps none, and so refuses little.
    """
    try:
        fitted = _fit(run, selected.model, _cell_context(run, selected))
    except HilumError as error:
        why = str(error).rstrip(".")
        return selected, [
            "The model cannot reject unusual images: its out-of-distribution check was not "
            f"fitted, because {why}."
        ]
    model_folder.save_gate(run.out / "model", fitted)
    return replace(selected, model=replace(selected.model, gate=fitted)), []


def fit_source_reference(run: RunContext, selected: SelectedCell) -> SelectedCell:
    """The cell with what it recognises a new source by, also written to `model/`.

    With too few images it keeps the reason, and gives it whenever it answers.
    """
    fitted: new_source.SourceReference | str
    try:
        fitted = _reference(run, selected.model, _cell_context(run, selected))
    except HilumError as error:
        fitted = str(error).rstrip(".")
    model_folder.save_sources(run.out / "model", fitted)
    _keep_films(run, selected.model, _cell_context(run, selected))
    return replace(selected, model=replace(selected.model, sources=fitted))


def _keep_films(run: RunContext, model: TrainedModel, context: CellContext) -> None:
    """Write features of some films, so that `adapt` can say what it costs on their sources."""
    if not kept_films.is_plain(model.head):
        return
    train, rows = (_rows(run, model, part) for part in ("train", "validation"))
    rows = rows[ood.evenly_spaced(len(rows), kept_films.MOST)]
    train = train[ood.evenly_spaced(len(train), kept_films.MOST - len(rows))]
    rows = np.sort(np.concatenate([rows, train]))
    features = np.asarray(_features(context, rows), np.float32)
    if model.facts.mirror:
        features = (features + _mirrored(context, rows)) / np.float32(2)
    sources = run.dataset.manifest.table["source"].fillna("unknown source").astype(str)
    kept = kept_films.KeptFilms.of(features, context.labels[rows], tuple(sources.iloc[rows]))
    kept_films.save_kept(kept, run.out / "model")
    model_json.amend(run.out / "model", {kept_films.KEY: kept.record()})


def _mirrored(context: CellContext, rows: npt.NDArray[np.int64]) -> Floats:
    """The same as `_features` of the mirror images."""
    if len(context.labels) <= 2 * MOST or not context.backbone.weights.tuned:
        return np.asarray(cell_features.mirrored_features(context)[rows])
    return context.runtime(models.mirrored(context.pixels.stack[rows]))


def _reference(
    run: RunContext, model: TrainedModel, context: CellContext
) -> new_source.SourceReference:
    train, validation = (_rows(run, model, part) for part in ("train", "validation"))
    table = run.dataset.manifest.table
    patients = table["patient_id"].fillna(table["sample_id"]).astype(str).to_numpy()
    basis, known = train, validation
    if not model.tuned:  # its features of training images are those of any other image
        basis, known = _halves(np.concatenate([train, validation]), patients)
    basis = basis[ood.evenly_spaced(len(basis), BASIS)]
    known = known[ood.evenly_spaced(len(known), KNOWN)]
    pairs = table[["source", "label"]].fillna("unknown source").astype(str).to_numpy()[known]
    return new_source.fit_reference(
        _features(context, basis),
        _features(context, known),
        [(source, label) for source, label in pairs.tolist()],
        patients[known].tolist(),
    )


def _halves(
    rows: npt.NDArray[np.int64], patients: npt.NDArray[np.object_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows (image,) of every other patient, and those of the others, in the manifest's order."""
    rows = np.sort(rows)
    _, number = np.unique(patients[rows], return_inverse=True)
    return rows[number % 2 == 0], rows[number % 2 == 1]


def _cell_context(run: RunContext, selected: SelectedCell) -> CellContext:
    """The context of the cell's folds, with the backbone after training."""
    model, manifest = selected.model, run.dataset.manifest
    labels = np.array([run.classes.index(name) for name in manifest.table["label"]])
    return CellContext(
        selected.recipe, run.classes, manifest, selected.pixels, model.pipeline, model.backbone,
        model.facts.normalise, model.runtime, run.progress, labels.astype(np.int64),
    )  # fmt: skip


def _fit(run: RunContext, model: TrainedModel, context: CellContext) -> ood.OodDetector:
    train, validation = (_rows(run, model, part) for part in ("train", "validation"))
    if not len(validation):
        raise HilumError("its limits are set on validation images, and there are none")
    posed_films = _read(run, model, train[ood.evenly_spaced(len(train), POSE_SAMPLE)])
    network = evidence.with_kept_answers(model)
    turned = {
        pose: network(np.stack([model.pipeline(ood.posed(film, pose)) for film in posed_films]))
        for pose in ood.POSES
    }
    train, validation = train[ood.evenly_spaced(len(train), MOST)], validation[:MOST]
    fitted = ood.fit_detector(_features(context, train), turned, _features(context, validation))
    films = _read(run, model, validation[ood.evenly_spaced(len(validation), LUNG_SAMPLE)])
    finder = segmenter.load_segmenter()
    good = [finder(ood.quick_check(film).small).good for film in films]
    return replace(fitted, lungs=bool(np.mean(good) >= LUNG_SHARE))


def _features(context: CellContext, rows: npt.NDArray[np.int64]) -> Floats:
    """(row, feature), of all images at once where that is cheap: audits need them as well."""
    if len(context.labels) <= 2 * MOST or not context.backbone.weights.tuned:
        return np.asarray(cell_features.features(context)[rows])
    return context.runtime(context.pixels.stack[rows])


def _rows(run: RunContext, model: TrainedModel, part: str) -> npt.NDArray[np.int64]:
    """Rows (image,) in the manifest of a part of the model's own fold."""
    origin = model.facts.provenance
    table = run.splits[origin["seed"]].table
    rows = table[(table["fold"] == origin["fold"]) & (table["part"] == part)]
    chosen = run.dataset.manifest.table["sample_id"].isin(rows["sample_id"])
    return np.flatnonzero(chosen).astype(np.int64)


def _read(run: RunContext, model: TrainedModel, rows: npt.NDArray[np.int64]) -> list[GreyImage]:
    """Decoded images (height, width) before any preprocessing step, as `predict` reads them."""
    table, side = run.dataset.manifest.table.iloc[rows], model.pipeline.decode_side
    sources = open_source_images()
    with ThreadPoolExecutor(files.available_cpus()) as pool:
        read = partial(sources.read, at_least=side)
        return list(pool.map(read, table["path"], table["sha256"]))
