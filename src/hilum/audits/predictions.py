"""The predictions of the stored model itself: those of its own fold and seed."""

import numpy as np
import pandas as pd

from hilum.audits.evidence import Evidence
from hilum.types import HilumError, Labels, Probabilities


def predictions(evidence: Evidence) -> pd.DataFrame:
    """Rows of the model's fold and seed; all rows of an external test or where that is unknown."""
    table = evidence.predictions
    origin = evidence.model.facts.provenance if evidence.model is not None else {}
    external = "cell" in table and (table["cell"] == "external").all()
    if external or not {"fold", "seed"} <= {*origin} & {*table.columns}:
        return table
    of_model = table[(table["fold"] == origin["fold"]) & (table["seed"] == origin["seed"])]
    return of_model if len(of_model) else table


def one_seed(evidence: Evidence) -> pd.DataFrame:
    """All folds of the first seed: an image that several seeds tested counts once."""
    table = evidence.predictions
    return table[table["seed"] == table["seed"].min()] if "seed" in table else table


def folds(evidence: Evidence) -> Labels:
    """(image,) the fold that tests each image, -1 where it only teaches.

    A network that was tuned knows its images by heart: only those that it has not seen test it. One
    that was not serves every fold of its split.
    """
    model, split = evidence.model, evidence.split
    alone = np.where(evidence.seen, -1, 0)
    if model is None or split is None or model.tuned:
        return alone
    tested = split.table[split.table["part"] == "test"].drop_duplicates("sample_id")
    if tested["fold"].nunique() < 2:
        return alone
    fold_of_image = evidence.manifest["sample_id"].map(tested.set_index("sample_id")["fold"])
    return fold_of_image.fillna(-1).to_numpy(np.int64)


def validated(evidence: Evidence) -> dict[str, int]:
    """How many validation images of each class the model had; none where that is unknown."""
    counts = dict.fromkeys(evidence.classes, 0)
    if evidence.split is None:
        return counts
    table, origin = evidence.split.table, evidence.model.facts.provenance if evidence.model else {}
    fold = origin.get("fold", table["fold"].min())
    validation_ids = table["sample_id"][(table["fold"] == fold) & (table["part"] == "validation")]
    labels = evidence.manifest["label"][evidence.manifest["sample_id"].isin(validation_ids)]
    return {name: int((labels == name).sum()) for name in counts}


def labels_and_probabilities(
    evidence: Evidence, table: pd.DataFrame
) -> tuple[Labels, Probabilities]:
    """Class indices (image,) and probabilities (image, class) of rows of predictions.

    Raises HilumError where there is none.
    """
    if not len(table):
        raise HilumError("no image was tested")
    labels = pd.Index(evidence.classes).get_indexer(table["label"]).astype(np.int64)
    return labels, table[[f"p_{name}" for name in evidence.classes]].to_numpy(float)


def predicted_rows(evidence: Evidence, table: pd.DataFrame) -> Labels:
    """(row,) positions in the manifest of rows of predictions, -1 for images it does not list."""
    ids = pd.Index(evidence.manifest["sample_id"])
    return ids.get_indexer(table["sample_id"]).astype(np.int64)


def positive_classes(evidence: Evidence) -> list[str]:
    """The classes that a test is for: all but the normal or negative one; of two, the first."""
    healthy = ("normal", "non_covid", "negative", "no finding")
    sick = [name for name in evidence.classes if name.lower() not in healthy]
    return sick or evidence.classes[:1]
