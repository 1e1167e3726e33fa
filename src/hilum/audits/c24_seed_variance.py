"""C-24: how much of the figure is the luck of the seed, and is the chosen cell really better?"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits import predictions
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import metrics, paired_tests
from hilum.types import Finding

RULE = AuditRule(
    id="C-24",
    title="Variation between seeds",
    rule="fewer than five seeds are not checked; seeds whose AUROC differs by more than "
    "0.05 warn; where no test (DeLong by patient, Holm) puts the chosen model above "
    "the others, the sentence says so",
    source="Bouthillier et al. 2021, arXiv:2103.03098; DeLong et al. 1988, doi:10.2307/2531595; "
    "Obuchowski 1997, doi:10.2307/2533958",
    severity=70,
)
SEEDS, SPAN = 5, 0.05


def audit(evidence: Evidence) -> Finding:
    """How far apart the best and the worst seed of the chosen cell are, in AUROC."""
    table = evidence.predictions
    count = table["seed"].nunique() if "seed" in table else 1
    if count < SEEDS:
        seeds = "one seed was" if count == 1 else f"{count} seeds were"
        return RULE.unknown(
            f"only {seeds} run; run with --seeds {SEEDS}. {_against_other_cells(evidence)}"
        )
    areas = []
    for _, rows in table.groupby("seed"):
        labels, p = predictions.labels_and_probabilities(evidence, rows)
        areas.append(np.mean([metrics.auroc(labels == c, p[:, c]) for c in np.unique(labels)]))
    low, high, sd = float(min(areas)), float(max(areas)), float(np.std(areas, ddof=1))
    sentence = (
        f"Over {count} seeds, AUROC has a standard deviation of {sd:.3f} (worst "
        f"{low:.3f}, best {high:.3f}). {_against_other_cells(evidence)}."
    )
    return RULE.finding("warn" if high - low > SPAN else "pass", high - low, sentence)


def _against_other_cells(evidence: Evidence) -> str:
    """Whether the chosen cell beats the others on the same images."""
    p_values = superiority(evidence)
    if not p_values:
        one, other = "Only one model was trained", "No other model was tested on the same images"
        return f"{other if _others(evidence) else one}, so there is nothing to compare it with"
    equal = [cell for cell, p in p_values.items() if not p < 0.05]
    table = evidence.predictions
    alone = "patient_id" in table and table["patient_id"].isna().any()
    unit = ", counting images as patients where the patient is unknown" if alone else ""
    if not equal:
        return f"The chosen model is better than all {len(p_values)} others{unit}"
    return (
        f"No test shows the chosen model to be better than {len(equal)} of {len(p_values)} "
        f"others{unit}"
    )


def _others(evidence: Evidence) -> bool:
    """Whether other cells were tested, on whatever images."""
    table = evidence.all_predictions
    return table is not None and "cell" in table and table["cell"].nunique() > 1


def superiority(evidence: Evidence) -> dict[str, float]:
    """Other cell -> p that the chosen one's AUROC is no higher, by Holm over cells.

    Of the first target class, on the images of the first seed.
    """
    everything = evidence.all_predictions
    if everything is None or "cell" not in evidence.predictions or not len(evidence.predictions):
        return {}
    name = predictions.positive_classes(evidence)[0]
    first = everything[everything["seed"] == everything["seed"].min()]
    tables = {str(cell): rows.set_index("sample_id") for cell, rows in first.groupby("cell")}
    chosen = tables.pop(str(evidence.predictions["cell"].iloc[0]), None)
    if chosen is None:
        return {}
    raw, patients = {}, _patients(chosen)
    for cell, rows in tables.items():
        other = rows.reindex(chosen.index)[f"p_{name}"]
        if other.isna().any():
            continue
        positive = (chosen["label"] == name).to_numpy(bool)
        scores = other.to_numpy(), chosen[f"p_{name}"].to_numpy()
        gap, p = paired_tests.delong_test(positive, *scores, patients)
        raw[cell] = p if gap.low + gap.high > 0 else 1.0
    return dict(zip(raw, paired_tests.holm(list(raw.values())), strict=True))


def _patients(table: pd.DataFrame) -> npt.NDArray[np.int64]:
    """(image,) patient numbers; an image of an unknown patient is a patient of its own."""
    own = pd.Series(table.index.astype(str), table.index)
    known = table["patient_id"] if "patient_id" in table else pd.Series(None, table.index, "str")
    return pd.factorize(known.fillna("image:" + own))[0].astype(np.int64)
