"""The images of an external test that are new to the model, and its answers to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from hilum.data import prepared_dataset
from hilum.data.fingerprints import take
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment import given_split
from hilum.inference import answer, new_source
from hilum.inference.model import Features, TrainedModel, probability_columns
from hilum.inference.new_source import NewSource
from hilum.inference.seen_before import Recognised
from hilum.progress import Progress
from hilum.types import Floats, Leak, LeftOut, Manifest, Pixels, Split

See: TypeAlias = Callable[[Pixels], Features]
CELL = "external"
SET_ASIDE = {
    "same file": "the model was built on this very file: no test of it",
    "near duplicate": "a near duplicate of an image that the model was built on: no test of it",
    "same patient": "of a patient that the model was built on: no test of it",
}


@dataclass(frozen=True, slots=True)
class Test:
    """The images that are new to a model, and its answers; what was set aside is `left_out`."""

    dataset: PreparedDataset
    predictions: pd.DataFrame
    leaks: list[Leak]
    recognised: Recognised  # of all images that were read
    sources: dict[str, NewSource]  # of the images, "" of all together -> whether it is new

    @property
    def manifest(self) -> Manifest:
        """The new images."""
        return self.dataset.manifest

    @property
    def split(self) -> Split:
        """Every image in the test part."""
        table = self.manifest.table
        split = pd.DataFrame({"sample_id": table["sample_id"], "fold": 0, "part": "test"})
        note = "every image that is new to the model is a test image"
        return Split(split, "official", "image", 0, (*given_split.unused(table, note), note))


def find_new(
    dataset_read: PreparedDataset,
    model: TrainedModel,
    recognised: Recognised,
    progress: Progress,
    see: See | None,
) -> Test:
    """Predictions for the images that are new to the model; `see` knows their features already."""
    dataset = _new_images(dataset_read, model, recognised, progress)
    table, names = dataset.manifest.table, probability_columns(model.facts.classes)
    predictions = table[["sample_id", "path", "patient_id", "source", "label"]].assign(
        cell=CELL, fold=0, seed=0
    )
    sources: dict[str, NewSource] = {}
    if len(table):
        pixels = dataset.pixels
        plain, mirror = see(pixels) if see else model.features(pixels.stack, progress("predict"))
        predictions[names] = model.calibrated(model.from_features(plain, mirror))
        sources = _judge_sources(model, table, plain)
        predictions["new_source"] = [
            sources.get(name, sources[""]).state for name in _names_of_sources(table)
        ]
    else:
        predictions = predictions.reindex(columns=[*predictions.columns, *names, "new_source"])
    leaks = _leaks(recognised, dataset_read.manifest.table)
    return Test(dataset, predictions, leaks, recognised, sources)


def _judge_sources(
    model: TrainedModel, table: pd.DataFrame, features: Floats
) -> dict[str, NewSource]:
    """Whether each source of the images, and "" all together, is new; features (image, feature)."""
    points = answer.source_points(model, features, np.zeros(len(table), bool))
    patients = table["patient_id"].astype(object).where(table["patient_id"].notna(), None)
    names = np.array(_names_of_sources(table))
    rows = {name: np.flatnonzero(names == name) for name in sorted(set(names.tolist()))}
    if len(rows) == 1:
        rows = {}
    return {
        name: new_source.judge(model.sources, points[at], patients.iloc[at].tolist())
        for name, at in {"": np.arange(len(table)), **rows}.items()
    }


def _names_of_sources(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table["source"].fillna("unknown source")]


def say_sources(sources: Mapping[str, NewSource]) -> list[str]:
    """A sentence for each source that is new, or the one about why nobody knows."""
    whole = sources.get("")
    if whole is None or whole.state == "not checked":
        return [whole.finding()] if whole else []
    parts = {name: judged for name, judged in sources.items() if name} or {"": whole}
    said = (
        judged.finding(f"The images of {name}" if name else "These images")
        for name, judged in parts.items()
    )
    return [sentence for sentence in said if sentence]


def _new_images(
    dataset_read: PreparedDataset, model: TrainedModel, recognised: Recognised, progress: Progress
) -> PreparedDataset:
    """The images that are no file, near duplicate or patient of the model's own."""
    if not recognised.met.any():
        return dataset_read
    table = dataset_read.manifest.table
    set_aside = [
        LeftOut(str(path), SET_ASIDE[kind])
        for path, kind in zip(table["path"], recognised.kinds, strict=True)
        if kind
    ]
    new = table[~recognised.met].reset_index(drop=True)
    left_out = (*dataset_read.manifest.left_out, *set_aside)
    manifest = replace(dataset_read.manifest, table=new, left_out=left_out)
    if len(new):
        return prepared_dataset.prepare_dataset(
            manifest, model.pipeline, progress("prepare those that are new")
        )
    none = Pixels(dataset_read.pixels.stack[:0], (), dataset_read.pixels.digest)
    no_prints = take(dataset_read.fingerprints, ())
    return replace(
        dataset_read,
        pixels=none,
        fingerprints=no_prints,
        manifest=manifest,
        facts=dataset_read.facts.iloc[:0],
    )


def _leaks(recognised: Recognised, table: pd.DataFrame) -> list[Leak]:
    """Images and patients that the model was built on, once each as image and as patient."""
    image, patient = "an image that the model was built on", "a patient that it was built on"
    leaks: list[Leak] = []
    for row, name in enumerate(table["sample_id"].astype(str)):
        near = int(recognised.near[row])
        if recognised.files[row]:
            leaks.append(Leak("same bytes", 0, image, "train", name, "test"))
        elif near >= 0:
            leaks.append(Leak("near duplicate", 0, image, "train", name, "test", float(near)))
        if recognised.patients[row]:
            leaks.append(Leak("same patient", 0, patient, "train", name, "test"))
    return leaks
