"""A finished model adapted to films of another hospital: a new model folder, and what it gained.

Only the head changes, and what is set on its probabilities: temperature, thresholds, conformal
bounds, what counts as unusual and as a new source. Every figure is out of fold, by patient.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.data import prepared_dataset
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import adapt_report, evaluate
from hilum.experiment.fold import SENSITIVITY
from hilum.inference import (
    conformal,
    exported,
    kept_films,
    lazy_backbone,
    model_folder,
    model_json,
    new_source,
    ood,
    seen_before,
    training_record,
)
from hilum.inference.kept_films import KeptFilms
from hilum.inference.model import TrainedModel
from hilum.inference.model_folder import BUILT_ON
from hilum.inference.ood import Gate, OodDetector
from hilum.inference.temperature import softmax
from hilum.inference.training_record import Films
from hilum.metrics import thresholds
from hilum.models.numpy_head import NumpyHead
from hilum.progress import Progress
from hilum.training import adaptation
from hilum.training.adaptation import NewFilms, Shift
from hilum.types import Floats, HilumError, Labels, Manifest, Probabilities

Array: TypeAlias = npt.NDArray[np.float64]
LEAST_PATIENTS, LEAST_OF_CLASS = 10, 4  # patients in all, and of each of two classes
FILE, REPORT = "adapted.json", "adapted.md"


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The new model's folder, and what `adapted.json` says of it."""

    folder: Path
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LabelledFilms:
    """The films that are new to a model, and what it makes of them."""

    dataset: PreparedDataset
    rows: npt.NDArray[np.int64]  # of the dataset's manifest
    plain: Floats  # (image, feature)
    seen: Films
    new: NewFilms

    @property
    def sources(self) -> list[str]:
        """(image,) The manifest's source, or "new hospital"."""
        table = self.dataset.manifest.table["source"].iloc[self.rows]
        return [str(name) for name in table.fillna("new hospital")]


def adapt_model(
    folder: Path,
    data: Path,
    out: Path,
    progress: Progress,
    read: Callable[[Path], Manifest] = evaluate.open_any,
) -> Adaptation:
    """Adapt a model to labelled films and write `model/`, `adapted.json` and `adapted.md` to `out`.

    `folder` is a model's, or that of a finished run. Films that the model was built on are left
    out. Raises HilumError for too few films, for an exported model and for an `out` with a model.
    """
    folder = model_json.find_model_folder(folder)
    if exported.is_exported(folder):
        raise HilumError(
            f"adapt needs a model with its features; got the exported model {str(folder)!r}; name "
            "the model folder that it was made from."
        )
    if (out / model_json.MODEL).exists() or (out / model_json.FILE).exists():
        raise HilumError(
            f"adapt needs an --out without a model; got {str(out)!r}; choose another folder."
        )
    model = exported.load(folder)
    manifest = evaluate.select_classes(read(data), model.facts.classes)
    films = _films(model, manifest, progress)
    require_enough(films.new, model.facts.classes)
    advance = progress("adapt")
    advance(0, 2)
    weights = adaptation.weigh_strengths(films.new)
    shift = adaptation.fit_weighed(films.new, weights)
    advance(1, 2)
    p = np.round(softmax(adaptation.out_of_fold(films.new)), 8)
    advance(2, 2)
    adapted = adapted_model(model, films, shift, p)
    kept = kept_films.load_kept(folder, model_json.read_metadata(folder).get(kept_films.KEY))
    record = {
        "films": adapt_report.counts(films.new, model.facts.classes),
        "strengths": adapt_report.strengths(weights),
        "scale": round(shift.scale, 6),
        "offset": dict(zip(model.facts.classes, shift.offset.round(6).tolist(), strict=True)),
        **adapt_report.before_and_after(model, adapted, films.new, p),
        "old_sources": adapt_report.cost(model, adapted, kept)
        if isinstance(kept, KeptFilms)
        else {"not_checked": f"Not checked: what this costs on the old sources, because {kept}."},
        "notes": _notes(model, films),
    }
    _write(folder, out / model_json.MODEL, adapted, record)
    with files.atomic_write(out / FILE) as path:
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with files.atomic_write(out / REPORT) as path:
        path.write_text(adapt_report.page(record), encoding="utf-8")
    return Adaptation(out / model_json.MODEL, record)


def require_enough(films: NewFilms, classes: list[str]) -> None:
    """Raise HilumError where the films are so few that their figures would be a guess."""
    patients = len(np.unique(films.patients))
    each = {
        name: len(np.unique(films.patients[films.labels == i])) for i, name in enumerate(classes)
    }
    enough = sum(count >= LEAST_OF_CLASS for count in each.values()) >= 2
    if patients >= LEAST_PATIENTS and enough:
        return
    got = ", ".join(f"{count} of {name}" for name, count in each.items())
    raise HilumError(
        f"adapt needs labelled films of {LEAST_PATIENTS} patients or more, {LEAST_OF_CLASS} or "
        f"more in each of two classes; got {patients} patients ({got}); with fewer it would be a "
        "guess: label more films (30 are a good number)."
    )


def last_inputs(head: NumpyHead, features: Floats) -> Array:
    """(image, feature) -> what the last layer of a head takes (image, input)."""
    x = (features.astype(np.float64) - head.standardise.mean) / head.standardise.deviation
    if head.positions > 1:
        x = x.reshape(len(x), -1, head.positions).mean(axis=2)
    for weight, bias in head.layers[:-1]:
        x = np.maximum(x @ weight.T + bias, 0.0)
    return np.asarray(x)


def shifted_head(head: NumpyHead, shift: Shift, temperature: float) -> NumpyHead:
    """The head whose logits at temperature 1 are those of `shift`."""
    weight, bias = head.layers[-1]
    scale = shift.scale / temperature
    layers = (*head.layers[:-1], (scale * weight + shift.layer, scale * bias + shift.offset))
    return replace(head, layers=layers)


def adapted_model(
    model: TrainedModel, films: LabelledFilms, shift: Shift, p: Probabilities
) -> TrainedModel:
    """The model with another head, and limits set on out-of-fold probabilities (image, class)."""
    facts, new = model.facts, films.new
    points = {
        name: thresholds.choose_threshold(new.labels == i, p[:, i], SENSITIVITY).threshold
        for i, name in enumerate(facts.classes)
        if (new.labels == i).any()
    }
    possible = conformal.class_limits(new.labels, p, facts.classes)
    facts = replace(
        facts,
        temperature=1.0,
        thresholds={**facts.thresholds, **points},
        conformal=possible or facts.conformal,
        seen=tuple(sorted({*facts.seen, *films.seen.sha256})),
    )
    sources, built = model.sources, model.built_on
    if not isinstance(sources, str):
        pairs = [
            (source, facts.classes[label])
            for source, label in zip(films.sources, new.labels.tolist(), strict=True)
        ]
        names = [str(number) for number in new.patients.tolist()]
        sources = new_source.extended(sources, films.plain, pairs, names)
    return replace(
        model,
        facts=facts,
        head=shifted_head(model.head, shift, model.facts.temperature),
        gate=_gate(model.gate, films),
        sources=sources,
        built_on=None if built is None else training_record.extended(built, films.seen),
    )


def _gate(gate: Gate | None, films: LabelledFilms) -> Gate | None:
    """The gate that knows these films too; its limits are never lower than before."""
    if not isinstance(gate, OodDetector):
        return gate
    return ood.with_films(gate, films.plain, films.new.patients)


def _films(model: TrainedModel, manifest: Manifest, progress: Progress) -> LabelledFilms:
    dataset = prepared_dataset.prepare_dataset(
        manifest, model.pipeline, progress("decode and prepare")
    )
    table = dataset.manifest.table
    listed = Films.listed(table, dataset.fingerprints)
    met = seen_before.compare_with_record(model.built_on, model.facts.seen, listed).met
    rows = np.flatnonzero(~met)
    if not len(rows):
        raise HilumError(
            "adapt needs films that the model was not built on; got none that is new; use films of "
            "other patients."
        )
    plain, mirror = model.features(dataset.pixels.stack[rows], progress("features"))
    inputs = last_inputs(model.head, plain)
    if mirror is not None:
        inputs = (inputs + last_inputs(model.head, mirror)) / 2
    weight, bias = model.head.layers[-1]
    own = table.iloc[rows]
    labels: Labels = np.array([model.facts.classes.index(name) for name in own["label"]])
    names = own["patient_id"].fillna(own["sample_id"]).astype(str)
    patients = np.unique(names.to_numpy(str), return_inverse=True)[1].astype(np.int64)
    new = NewFilms((inputs @ weight.T + bias) / model.facts.temperature, inputs, labels, patients)
    seen = Films(
        tuple(listed.sha256[i] for i in rows.tolist()),
        listed.hashes[rows],
        tuple(listed.patients[i] for i in rows.tolist()),
        tuple(listed.sources[i] for i in rows.tolist()),
    )
    return LabelledFilms(dataset, rows, plain, seen, new)


def _notes(model: TrainedModel, films: LabelledFilms) -> list[str]:
    """What these films are too few for, or could not be used for."""
    counts = np.bincount(films.new.labels, minlength=len(model.facts.classes))
    least, notes = conformal.least_images(), []
    few = [
        f"{n} of {name}" for name, n in zip(model.facts.classes, counts, strict=True) if n < least
    ]
    if few:
        notes.append(
            f"Not checked: conformal bounds. They need {least} films of each class; got "
            f"{', '.join(few)}. The old bounds stay, without their promise."
        )
    known = len(films.dataset.manifest.table) - len(films.rows)
    if known:
        notes.append(f"{known:,} films are left out, because the model was built on them.")
    return notes


def _write(old: Path, folder: Path, model: TrainedModel, record: dict[str, Any]) -> None:
    """The old folder's files with those of the new model over them."""
    files.ensure_writable_folder(folder.parent, folder)
    facts = model.facts
    origin = {**facts.provenance, "adapted": {key: record[key] for key in ("films", "strengths")}}
    more = {
        "temperature": facts.temperature,
        "thresholds": facts.thresholds,
        "conformal": facts.conformal,
        "provenance": origin,
        "judged": adapt_report.judged(record),
        **({BUILT_ON: model.built_on.record()} if model.built_on else {}),
        **new_source.as_record(model.sources),
    }
    with files.replaced_folder(folder) as whole:
        shutil.copytree(old, whole, dirs_exist_ok=True)
        model_folder.save_head(whole, model.head)
        if isinstance(model.gate, OodDetector):
            ood.save_detector(model.gate, whole)
        new_source.save_reference(model.sources, whole)
        model_folder.save_seen(whole, model.facts.seen)
        if model.built_on is not None:
            training_record.save_record(model.built_on, whole)
        model_json.amend_files(whole, more, set(model_folder.FILES) - {lazy_backbone.TENSORS})
