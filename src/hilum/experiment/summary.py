"""What the run records about its data, split, model and limits, as plain values."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from hilum.datasets.registry import DATASETS
from hilum.experiment import mask_conventions, schema_to_training
from hilum.inference.model import TrainedModel
from hilum.models import freezing, summary
from hilum.recipes import Recipe
from hilum.types import Leak, LeftOut, Manifest, Split

EXAMPLES = 3
PHANTOM = "phantom"
UNVALIDATED = (
    "There are no validation images. The last epoch is kept, probabilities are not "
    "calibrated (temperature 1), no threshold is chosen, unusual images are not "
    "rejected, and model/ holds the first of several cells. The curves are of the test "
    "images, which decide nothing."
)


def counts(manifest: Manifest, classes: list[str]) -> dict[str, Any]:
    """Images and patients, overall and by class."""
    table = manifest.table
    patients = table["patient_id"].nunique()
    return {
        "images": len(table),
        "patients": int(patients) if table["patient_id"].notna().all() else None,
        "classes": {name: int((table["label"] == name).sum()) for name in classes},
        "left_out": sum(item.count for item in manifest.left_out),
    }


def data(manifest: Manifest) -> dict[str, Any]:
    """Each set's card and numbers, and what was left out, by reason."""
    groups = manifest.table.groupby("dataset", sort=True)
    return {
        "sets": [_set(str(name), rows) for name, rows in groups],
        "notes": list(manifest.notes),
        "left_out": grouped(manifest.left_out),
    }


def grouped(left_out: Sequence[LeftOut]) -> list[dict[str, Any]]:
    """One row per reason, the commonest first: how many, and a few examples."""
    reasons: dict[str, list[LeftOut]] = {}
    for item in left_out:
        reasons.setdefault(item.reason, []).append(item)
    rows: list[dict[str, Any]] = [
        {
            "what": _some([item.what for item in items]),
            "reason": reason,
            "count": sum(item.count for item in items),
        }
        for reason, items in reasons.items()
    ]
    return sorted(rows, key=lambda row: -row["count"])


def split(splits: Mapping[int, Split], leaks: Sequence[Leak]) -> dict[str, Any]:
    """How images were divided, with counts per part and what leaked."""
    first = next(iter(splits.values()))
    parts = first.table.groupby(["fold", "part"]).size().unstack(fill_value=0)
    return {
        "kind": first.kind,
        "folds": int(first.table["fold"].nunique()),
        "grouped_by": first.grouped_by,
        "seed": first.seed,
        "seeds": list(splits),
        "counts": {
            f"fold {fold + 1}": {str(k): int(v) for k, v in row.items()}
            for fold, row in parts.iterrows()
        },
        "notes": list(first.notes),
        "leaks": [asdict(leak) for leak in leaks],
    }


def model(record: Mapping[str, Any]) -> dict[str, Any]:
    """What `model.json` says, under the names of the report."""
    origin = record["provenance"]
    return {
        "cell": origin["cell"],
        "fold": origin["fold"],
        "seed": origin["seed"],
        "backbone": record["backbone"]["name"],
        "beside": [one["name"] for one in record["backbone"].get("beside", ())],
        "weights": record["backbone"]["origin"],
        "weights_licence": record["backbone"]["licence"],
        "weights_digest": record["backbone"]["digest"],
        "preparation": record["preparation"],
        "preparation_digest": record["preparation_digest"],
        "precision": record["precision"],
        "mirror": record["mirror"],
        "temperature": record["temperature"],
        "thresholds": record["thresholds"],
        "images": origin["images"],
        "engine": origin["engine"],
    }


def layers(recipe: Recipe, trained_model: TrainedModel) -> list[dict[str, Any]]:
    """The parts of a cell's network, and what of each its training has changed."""
    trained = schema_to_training.trained_parameters(recipe, trained_model.backbone)
    parts = summary.summarise_layers(
        trained_model.backbone, trained_model.head, trained_model.pipeline.shape, trained
    )
    return [asdict(part) for part in parts]


def advice(counts: Mapping[str, int], origin: str, near: bool) -> str:
    """How much of the network to train, by Marcelino's quadrants (study 001, figure 6a).

    `near`: the backbone has seen a source task of the same kind of images.
    """
    if "random" in origin and not near:
        return "random weights have nothing worth keeping: train every layer"
    least = min(counts.values())
    advised = freezing.advise(least, "near" if near else "far")
    return f"{least} images of the smallest class, {advised}"


def images_seen(history: pd.DataFrame, origin: Mapping[str, Any]) -> int | None:
    """Images times epochs that trained the stored model, all stages; None for a solved head."""
    rows = history
    for key in ("cell", "fold", "seed"):
        rows = rows[rows[key] == origin[key]]
    if "images_seen" not in rows or rows["images_seen"].isna().all():
        return None
    return int(rows.groupby("stage")["images_seen"].max().sum())


def limits(recipe: Recipe, manifest: Manifest) -> list[str]:
    """Limits of the results: the recipe's, notes on the data, and what the paper leaves open."""
    sentences = [*recipe.limits, *manifest.notes]
    if recipe.unspecified_in_paper:
        sentences.append(
            "The paper does not say, so these are ours: "
            + ", ".join(recipe.unspecified_in_paper)
            + "."
        )
    if not recipe.split.validation:
        sentences.append(UNVALIDATED)
    if recipe.split.kind == "kfold":
        sentences.append("The figures are those of all folds; model/ holds one fold's model.")
    sentences.append("No figure here was measured at a hospital that was not in training.")
    return list(dict.fromkeys(sentences))


def populations() -> dict[str, str]:
    """Age group of each known dataset; the phantom's ages are in its manifest."""
    return {name: row.card.single_age for name, row in DATASETS.items()}


def _set(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": name,
        "images": len(rows),
        "patients": int(rows["patient_id"].nunique()) if rows["patient_id"].notna().any() else None,
        "source": sorted(set(rows["source"].dropna())),
        "licence": sorted(set(rows["licence"].dropna())) or "not stated",
        "files_digest": release(rows["sha256"]),
    }
    if rows["mask_path"].notna().any():
        facts["mask_convention"] = str(mask_conventions.mask_convention(name))
    if name in DATASETS:
        card = DATASETS[name].card
        facts |= {
            "title": card.title,
            "licence": card.licence,
            "population": card.population,
            "known_shortcuts": list(card.known_shortcuts),
            "citation": card.citation,
            "homepage": card.homepage,
        }
    if name == PHANTOM:
        facts |= {
            "title": "Synthetic chest radiographs",
            "licence": "Apache-2.0",
            "known_shortcuts": "those that the recipe's settings plant",
            "citation": "simulated by hilum; no patient has these lungs",
        }
    return facts


def release(hashes: "pd.Series[str]") -> str | None:
    """SHA-256 of the files' sorted SHA-256, one a line: identifies a release of a set.

    As `sha256sum FILES | cut -c1-64 | sort | sha256sum` has it; None where one is not known.
    """
    if hashes.isna().any():
        return None
    lines = "".join(f"{digest}\n" for digest in sorted(hashes))
    return hashlib.sha256(lines.encode("ascii")).hexdigest()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return ", ".join(names[:EXAMPLES]) + more
