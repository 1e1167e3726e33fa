"""Split: the recipe's plan carried out, one split per seed, and the leak check on each."""

from hilum import recipe
from hilum.data import leaks, splits
from hilum.recipe import Recipe, SplitPlan
from hilum.types import Fingerprints, HilumError, Leak, Manifest, Split


def divide(
    plan: SplitPlan, manifest: Manifest, fingerprints: Fingerprints | None, seed: int
) -> Split:
    """The split of one seed; near duplicates stay together unless `group = "image"`.

    Without fingerprints no near duplicates are known: good for a trial before images are decoded.
    Raises HilumError where the data cannot be divided so.
    """
    number = plan.seed + seed
    group = plan.group
    apart = plan.group == "image"  # as published: near duplicates may stand on both sides
    clusters = None if apart or not fingerprints else leaks.clusters(manifest, fingerprints)
    if plan.kind == "official":
        return splits.official(manifest, plan.validation, number, group, clusters)
    if plan.kind == "kfold":
        return splits.kfold(manifest, plan.folds, plan.validation, number, group, clusters)
    shares = splits.Shares(plan.test, plan.validation)
    return splits.holdout(manifest, shares, number, group, clusters)


def copied(split: Split, plan: Recipe) -> list[Leak]:
    """Test and validation images whose copies train, where copies are made before the split."""
    plans = [cell.train.copies for cell in recipe.cells(plan).values()]
    if not any(one is not None and one.before_split for one in plans):
        return []
    rows = split.table[split.table["part"] != "train"]
    return [
        Leak("augmented copy", fold, f"{name}#copy1", "train", name, part)
        for fold, name, part in zip(rows["fold"], rows["sample_id"], rows["part"], strict=True)
    ]


def check(split: Split, manifest: Manifest, fingerprints: Fingerprints, mode: str) -> list[Leak]:
    """Leaks across parts; the same patient on both sides stops a corrected run.

    Raises HilumError in corrected mode, since grouping by patient was promised.
    """
    found = leaks.find(split, manifest, fingerprints)
    patients = [leak for leak in found if leak.kind == "same patient"]
    if patients and mode == "corrected" and split.grouped_by in ("patient", "site"):
        raise HilumError(
            f"no patient may stand on both sides of a split; got {len(patients)} pairs, as "
            f"{patients[0].first} and {patients[0].second}; mend the patient identifiers."
        )
    return found
