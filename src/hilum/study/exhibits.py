"""What the audits leave for the report to show: the matrix of sources, and blacked-out films."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import files
from hilum.audit import Evidence, masked
from hilum.study import outputs
from hilum.types import Probabilities

FILMS = 6
BLACKED = "blacked_out.npz"


def write(out: Path, about: Evidence) -> None:
    """Write `across_sources.csv` and `blacked_out.npz` where the audits have made them."""
    outputs.write_across(out, about.shared.get("matrix"))
    path = out / BLACKED
    path.unlink(missing_ok=True)
    if "hidden" in about.shared:
        _write_blacked(path, about, masked.hidden(about))


def _write_blacked(path: Path, about: Evidence, seen: masked.Hidden) -> None:
    """Prepared films whole (film, row, column), the boxes taken out, and what the model then says.

    Of each class those unseen films whose true class has a middling probability.
    """
    if about.model is None or about.stack is None:
        return
    facts, head = about.model.facts, about.model.head
    whole, dark = (about.model.calibrated(head.logits(part)) for part in (seen.whole, seen.masked))
    shown = _typical(about, seen.rows, whole)
    boxes, _ = masked.lung_boxes(about, seen.rows)  # found before: nothing is computed again
    ends = [[box[0].start, box[0].stop, box[1].start, box[1].stop] for box in boxes]
    said = whole[shown].argmax(1)
    at = seen.rows[shown]
    with files.atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            films=about.stack[at],
            boxes=np.array(ends)[shown],  # rows from, to, columns from, to
            sample_id=about.manifest["sample_id"].to_numpy(str)[at],
            label=about.manifest["label"].to_numpy(str)[at],
            said=np.array(facts.classes)[said],
            whole=whole[shown, said],
            dark=dark[shown, said],
        )


def _typical(
    about: Evidence, rows: npt.NDArray[np.int64], whole: Probabilities
) -> npt.NDArray[np.int64]:
    labels = about.labels[rows]
    p = whole[np.arange(len(rows)), labels]
    table = pd.DataFrame({"label": labels, "p": p, "seen": about.seen[rows]})
    free = table[~table["seen"]].sort_values("p")
    each = max(1, FILMS // max(1, free["label"].nunique()))
    parts = [
        group.iloc[max(0, (len(group) - each) // 2) :][:each] for _, group in free.groupby("label")
    ]
    return np.concatenate([part.index.to_numpy() for part in parts]).astype(np.int64)[:FILMS]
