"""Files that audits write: the matrix of sources, blacked-out films, look-alikes."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import files
from hilum.audits import Evidence, c01_lungs_blacked_out, look_alikes
from hilum.experiment import outputs

FILMS = 6
BLACKED = "blacked_out.npz"
Rows: TypeAlias = npt.NDArray[np.int64]  # (image,) places in the manifest


def write_audit_artefacts(out: Path, evidence: Evidence) -> None:
    """Write `across_sources.csv`, `look_alikes.csv` and `blacked_out.npz` where audits made them.

    `look_alikes.csv` lists images without patients as a table for `hilum train`, with images that
    look alike as one patient's: the split that it gets keeps them together.
    """
    outputs.write_across(out, evidence.shared.get("matrix"))
    outputs.write_look_alikes(out, _look_alikes(evidence))
    path = out / BLACKED
    path.unlink(missing_ok=True)
    if "hidden" in evidence.shared:
        _write_blacked(path, evidence, c01_lungs_blacked_out.hidden(evidence))


def _look_alikes(evidence: Evidence) -> pd.DataFrame | None:
    if look_alikes.KEPT not in evidence.shared or not evidence.manifest["patient_id"].isna().any():
        return None
    names = look_alikes.named(evidence).to_numpy()
    return evidence.manifest[["path", "label", "source", "modality"]].assign(patient_id=names)


def _write_blacked(path: Path, evidence: Evidence, seen: c01_lungs_blacked_out.Hidden) -> None:
    """Prepared films (film, row, column), the boxes blacked out, and the model's answers to both.

    Of each class those unseen films whose true class has a middling probability.
    """
    if evidence.model is None or evidence.stack is None:
        return
    boxes = dict(zip(seen.rows.tolist(), seen.boxes, strict=True))
    at = _typical(evidence, seen.rows)
    if not len(at):
        return
    dark = np.stack(
        [c01_lungs_blacked_out.blacked(evidence.stack[row], boxes[row]) for row in at.tolist()]
    )
    original, blacked = (
        evidence.model.probabilities(films) for films in (evidence.stack[at], dark)
    )
    predicted, without = original.argmax(1), blacked.argmax(1)
    table = evidence.manifest.iloc[at]
    with files.atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            films=evidence.stack[at],
            boxes=np.stack([boxes[row] for row in at.tolist()]),  # (film, panel, 4)
            sample_id=table["sample_id"].to_numpy(str),
            label=table["label"].to_numpy(str),
            said=np.array(evidence.classes)[predicted],
            whole=original[np.arange(len(at)), predicted],
            dark=blacked[np.arange(len(at)), predicted],  # of the same class
            dark_said=np.array(evidence.classes)[without],
            dark_p=blacked.max(1),
        )


def _typical(evidence: Evidence, rows: Rows) -> Rows:
    """Rows (image,) in the manifest of FILMS tested images at most, as many of each class."""
    p = evidence.predictions.drop_duplicates("sample_id").set_index("sample_id")
    table = evidence.manifest.iloc[rows][["sample_id", "label"]].assign(row=rows)
    table = table[~evidence.seen[rows] & table["sample_id"].isin(p.index)]
    if table.empty:
        return np.zeros(0, np.int64)
    true = [p.at[row.sample_id, f"p_{row.label}"] for row in table.itertuples()]
    table = table.assign(p=true).sort_values(["p", "sample_id"])
    per_class = max(1, FILMS // table["label"].nunique())
    middle = [
        group.iloc[max(0, (len(group) - per_class) // 2) :].head(per_class)
        for _, group in table.groupby("label")
    ]
    return pd.concat(middle)["row"].to_numpy(np.int64)[:FILMS]
