"""Read every dataset that a recipe names, renamed, filtered and sampled, as one manifest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hilum import datasets, phantom
from hilum.data import manifest as manifests
from hilum.datasets import registry
from hilum.progress import Advance, Progress, StepName, silent
from hilum.recipes import DataSet, Recipe
from hilum.types import HilumError, Manifest, MissingError


def load_manifest(
    recipe: Recipe, root: Path | None, out: Path, progress: Progress = silent
) -> Manifest:
    """One manifest of all sets; only the recipe's classes stay, the rest is counted.

    `root` holds datasets as published; a phantom is generated below `out`. Raises MissingError
    where a set is not there, HilumError where a filter leaves nothing.
    """
    published = [_read(item, recipe.classes, (root, out), progress) for item in recipe.data]
    parts = [
        _select(item, part, recipe.split.seed)
        for item, part in zip(recipe.data, published, strict=True)
    ]
    manifest = manifests.concat(parts)
    manifest = replace(manifest, notes=(*manifest.notes, *_namesakes(recipe, parts)))
    if recipe.classes:
        selected = manifest.table["label"].isin(recipe.classes)
        manifest = manifests.select(manifest, selected, "label is not among the recipe's classes")
        _all_present(manifest.table, recipe.classes)
    return manifest


def load_later_manifest(recipe: Recipe, root: Path | None, out: Path, study: Manifest) -> Manifest:
    """Films of `external_tests`, drawn from those whose patients and bytes the study does not have.

    Where fewer are left than `take` names, all of them are taken. Raises as `load_manifest`, and
    HilumError where none is left.
    """
    parts = []
    for item in recipe.external_tests:
        read = _read(item, recipe.classes, (root, out), silent)
        manifest = _select(item.model_copy(update={"take": {}}), read, recipe.split.seed)
        unshared = _without_study(manifest, study.table)
        available = unshared.table["label"].value_counts().to_dict()
        take = {label: min(count, available.get(label, 0)) for label, count in item.take.items()}
        parts.append(_draw(unshared, take, recipe.split.seed) if take else unshared)
    films = manifests.concat(parts)
    selected = films.table["label"].isin(classes_of(recipe, study))
    films = manifests.select(films, selected, "label is not among the recipe's classes")
    if not len(films.table):
        raise HilumError(
            "later films must be of patients that the study does not have; got none of "
            "the study's classes; name another set, or drop the key."
        )
    return films


def _without_study(manifest: Manifest, study: pd.DataFrame) -> Manifest:
    table = manifest.table
    shared = table["sample_id"].isin(study["sample_id"])
    for key in ("patient_id", "sha256"):
        shared |= table[key].notna() & table[key].isin(study[key].dropna())
    return manifests.select(manifest, ~shared, "the study has it, or its patient")


def classes_of(recipe: Recipe, manifest: Manifest) -> list[str]:
    """The recipe's classes in its order, or those found, sorted; at least two."""
    return list(recipe.classes) or manifests.require_classes(manifest)


def _namesakes(recipe: Recipe, parts: Sequence[Manifest]) -> list[str]:
    """A note on numbers of patients that several sets of the user's own have."""
    users = [part for item, part in zip(recipe.data, parts, strict=True) if item.path]
    counts = Counter(name for part in users for name in part.table["patient_id"].dropna().unique())
    shared = sum(count > 1 for count in counts.values())
    if not shared:
        return []
    return [
        f"{shared:,} patient numbers occur in several sets of data. Each counts as one "
        "person, so that no person is on both sides of a split. If sets number their "
        "own patients, put the set's name before the number; otherwise the counts of "
        "patients are too low."
    ]


def _select(item: DataSet, manifest: Manifest, seed: int) -> Manifest:
    """A set renamed, filtered and sampled by its entry in the recipe."""
    manifest = _rename(manifest, item.rename)
    for column, allowed in item.keep.items():
        if column not in manifest.table:
            columns = ", ".join(manifest.table.columns)
            raise HilumError(
                f"data.keep needs a column of the manifest ({columns}); got {column!r}; correct it."
            )
        mask = manifest.table[column].astype("str").isin(allowed)
        manifest = manifests.select(manifest, mask, f"{column} is not {' or '.join(allowed)}")
    return _draw(manifest, item.take, seed) if item.take else manifest


def _rename(manifest: Manifest, names: dict[str, str]) -> Manifest:
    labels = sorted(set(manifest.table["label"].dropna()))
    for name in names:
        if name not in labels:
            raise HilumError(
                f"data.rename needs labels of these images ({', '.join(labels)}); got {name!r}; "
                "correct it."
            )
    table = manifest.table.assign(label=manifest.table["label"].replace(names))
    notes = [f"The recipe renames {name} to {target}." for name, target in names.items()]
    return Manifest(table, manifest.left_out, (*manifest.notes, *notes)) if names else manifest


def _read(
    item: DataSet, classes: list[str], where: tuple[Path | None, Path], progress: Progress
) -> Manifest:
    root, out = where
    if item.path:
        columns = datasets.columns_from_roles(item.columns)
        options = datasets.TreeOptions(item.labels, item.source_tag)
        return datasets.open_path(
            Path(item.path),
            columns,
            deferred_step(progress, StepName("read headers", "headers")),
            options,
        )
    if item.phantom:
        return phantom.write_phantom(
            phantom_request(item, classes), out / "data", progress("draw films")
        )
    if root is None:
        folder = registry.find_dataset(item.card).card.folder
        raise MissingError(
            f"this recipe needs the dataset {item.card!r}; got no --data; name the "
            f"folder that holds {folder}/ with --data or in HILUM_DATA."
        )
    return datasets.read(item.card, root)


def deferred_step(progress: Progress, name: str) -> Advance:
    """A step that is only shown once it advances: most sets have no headers to read."""
    steps: list[Advance] = []

    def advance(done: int, total: int) -> None:
        if not steps:
            steps.append(progress(name))
        steps[0](done, total)

    return advance


def phantom_request(item: DataSet, classes: list[str]) -> phantom.Request:
    """The phantom's dials; its classes are the recipe's unless it names its own."""
    dials = {"classes": classes or phantom.CLASSES, **item.phantom}
    try:
        return phantom.Request(**{**dials, "classes": tuple(dials["classes"])})
    except TypeError as error:
        names = ", ".join(field.name for field in fields(phantom.Request))
        raise HilumError(f"data.phantom takes {names}; got {error}; correct that key.") from None


def _draw(manifest: Manifest, take: dict[str, int], seed: int) -> Manifest:
    """Draw so many images of a label; independent of the order in which they were read."""
    keep = pd.Series(True, index=manifest.table.index)  # noqa: FBT003
    for label, count in take.items():
        names = manifest.table.loc[manifest.table["label"] == label, "sample_id"].sort_values()
        if len(names) < count:
            raise HilumError(
                f"data.take needs {count} images of {label!r}; got {len(names)}; lower the number."
            )
        sampled = np.random.default_rng(seed).choice(len(names), count, replace=False)
        keep[names.index.difference(names.index[sampled])] = False
    return manifests.select(manifest, keep, f"not drawn (data.take, seed {seed})")


def _all_present(table: pd.DataFrame, classes: list[str]) -> None:
    missing = [name for name in classes if not (table["label"] == name).any()]
    if missing:
        raise HilumError(
            f"the recipe needs images of {', '.join(classes)}; got none of "
            f"{', '.join(missing)}; check data.keep and the folder named with --data."
        )
