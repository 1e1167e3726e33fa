"""Splits by the recipe, one per seed, and the leak check on each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import pandas as pd

from hilum import recipes
from hilum.data import leakage, splits
from hilum.experiment import given_split
from hilum.experiment.given_split import SplitRequest
from hilum.recipes import Recipe, SplitPlan
from hilum.types import Fingerprints, HilumError, Leak, Manifest, Split

FEW = 30  # test images; with fewer of them no figure says anything, so that folds test every image
LEAST_FOLDS = 3
ROUNDS = 5  # of the cross-validation inside a fold that chooses its pool


def make_split(
    plan: SplitPlan, manifest: Manifest, fingerprints: Fingerprints | None, seed: int
) -> Split:
    """The split of one seed; near duplicates stay together unless `group = "image"`.

    Without fingerprints no near duplicates are known, as in `trial_split`. Raises HilumError where
    the data cannot be divided so.
    """
    apart = plan.group == "image"  # as published: near duplicates may be on both sides
    clusters = None if apart or not fingerprints else leakage.clusters(manifest, fingerprints)
    request = SplitRequest(manifest, plan.validation, plan.seed + seed, plan.group, clusters)
    if order_of(plan, manifest) == "name":
        return _divide(plan, request)
    request, names = _by_content(request)
    split = _divide(plan, request)
    table = split.table.assign(sample_id=split.table["sample_id"].map(names))
    return replace(split, table=table)


def trial_split(plan: SplitPlan, manifest: Manifest, seed: int) -> Split:
    """The split before images are decoded: near duplicates, not known yet, move a few images.

    Raises HilumError where the data cannot be divided so.
    """
    known = {"group": "patient"} if plan.group == "cluster" else {}
    return make_split(plan.model_copy(update=known), manifest, None, seed)


def inner_rounds(
    plan: SplitPlan,
    manifest: Manifest,
    fingerprints: Fingerprints,
    fold: pd.DataFrame,
    seed: int,
) -> "pd.Series[int] | None":
    """Round (sample_id -> 0, 1, ...) of each image that a fold does not test, grouped as folds are.

    By patient where sites are too few. None where no grouping allows two rounds.
    """
    free = fold.loc[fold["part"] != "test", "sample_id"]
    rows = manifest.table[manifest.table["sample_id"].isin(free)].reset_index(drop=True)
    groups = ("site", "patient") if plan.group == "site" else (plan.group,)
    for group, rounds in ((group, n) for group in groups for n in range(ROUNDS, 1, -1)):
        update = {"kind": "kfold", "folds": rounds, "validation": 0.0, "group": group}
        inner = plan.model_copy(update=update)
        try:
            split = make_split(inner, replace(manifest, table=rows), fingerprints, seed).table
        except HilumError:  # a class with fewer groups than rounds
            continue
        tested = split[split["part"] == "test"]
        return tested.set_index("sample_id")["fold"].sort_index()
    return None


def order_of(plan: SplitPlan, manifest: Manifest) -> Literal["name", "content"]:
    """By content only a user's own images: the names of a published set are always the same."""
    if plan.order == "name":
        return "name"
    users = bool(manifest.table["dataset"].isin(given_split.OWN).all())
    return "content" if users else "name"


def _by_content(request: SplitRequest) -> tuple[SplitRequest, dict[str, str]]:
    """The same with names that begin with the digest of each file, and the names behind them.

    A split sorts images by name: this makes it independent of where they are stored.
    """
    table = request.manifest.table
    longer = table["sha256"].fillna("").astype("str") + "/" + table["sample_id"]
    manifest = replace(request.manifest, table=table.assign(sample_id=longer))
    clusters = request.clusters
    if clusters is not None:
        clusters = pd.Series(clusters.reindex(table["sample_id"]).to_numpy(), index=list(longer))
    names = dict(zip(longer, table["sample_id"], strict=True))
    return replace(request, manifest=manifest, clusters=clusters), names


def _divide(plan: SplitPlan, request: SplitRequest) -> Split:
    if plan.kind == "auto":
        official, notes = given_split.divide(request)
        split = official or _holdout_or_folds(plan, request)
        return replace(split, notes=(*notes, *split.notes))
    split = _of_kind(plan, request)
    return replace(split, notes=(*_unused_parts(plan, request.manifest.table), *split.notes))


def _unused_parts(plan: SplitPlan, table: pd.DataFrame) -> tuple[str, ...]:
    """A note on the parts of a set's own split that the recipe does not use."""
    if plan.kind != "official":
        return given_split.unused(table, f'the recipe says split.kind = "{plan.kind}"')
    validation = given_split.counts(table).get("validation", 0)
    if not validation or not plan.validation:
        return ()
    return (
        f"The set's own {validation:,} validation images are drawn again, from all "
        "images that it does not test, because the recipe asks for an official split.",
    )


def _of_kind(plan: SplitPlan, request: SplitRequest) -> Split:
    rest = (request.seed, request.group, request.clusters)
    if plan.kind == "official":
        return splits.official(request.manifest, plan.validation, *rest)
    if plan.kind == "kfold":
        return splits.kfold(request.manifest, plan.folds, plan.validation, *rest)
    return splits.holdout(
        request.manifest, splits.SplitFractions(plan.test, plan.validation), *rest
    )


def _holdout_or_folds(plan: SplitPlan, request: SplitRequest) -> Split:
    """Once, or in folds where the test part would be smaller than FEW images."""
    images = len(request.manifest.table)
    once = plan.model_copy(update={"kind": "holdout"})
    if round(images * plan.test) >= FEW:
        return _of_kind(once, request)
    for folds in range(plan.folds, LEAST_FOLDS - 1, -1):
        try:
            several = plan.model_copy(update={"kind": "kfold", "folds": folds})
            split = _of_kind(several, request)
        except HilumError:  # a class with fewer patients than folds
            continue
        note = (
            f"{folds}-fold cross-validation, because one test part of {images} images "
            f"would hold fewer than {FEW}. Every image is tested once, by a model that "
            "has not seen it (--set split.kind=holdout splits once)."
        )
        return replace(split, notes=(note, *split.notes))
    return _of_kind(once, request)


def resolve_recipe(recipe: Recipe, manifest: Manifest, splits: Mapping[int, Split]) -> Recipe:
    """The recipe with "auto" and the order replaced by what these images gave."""
    first = next(iter(splits.values()))
    folds = int(first.table["fold"].nunique())
    changed: dict[str, Any] = {"order": order_of(recipe.split, manifest)}
    if recipe.split.kind == "auto":
        changed |= {"kind": first.kind, **({"folds": folds} if first.kind == "kfold" else {})}
    return recipe.model_copy(update={"split": recipe.split.model_copy(update=changed)})


def leaks_of_copies(split: Split, recipe: Recipe) -> list[Leak]:
    """Test and validation images whose copies train, where copies are made before the split."""
    copies = [cell.train.copies for cell in recipes.cells(recipe).values()]
    if not any(plan is not None and plan.before_split for plan in copies):
        return []
    rows = split.table[split.table["part"] != "train"]
    return [
        Leak("augmented copy", fold, f"{name}#copy1", "train", name, part)
        for fold, name, part in zip(rows["fold"], rows["sample_id"], rows["part"], strict=True)
    ]


def check_leakage(
    split: Split, manifest: Manifest, fingerprints: Fingerprints, mode: str
) -> list[Leak]:
    """Leaks across parts; the same patient on both sides stops a corrected run.

    Raises HilumError in corrected mode, since grouping by patient was promised.
    """
    leaks = leakage.find_leaks(split, manifest, fingerprints)
    patients = [leak for leak in leaks if leak.kind == "same patient"]
    if patients and mode == "corrected" and split.grouped_by in ("patient", "site"):
        raise HilumError(
            f"no patient may be on both sides of a split; got {len(patients)} pairs, "
            f"such as {patients[0].first} and {patients[0].second}; {_remedy(split)}."
        )
    return leaks


def _remedy(split: Split) -> str:
    if split.kind == "official":
        return f"correct the parts or the patient identifiers, or {given_split.ANEW}"
    return "correct the patient identifiers"
