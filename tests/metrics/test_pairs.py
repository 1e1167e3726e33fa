"""Two classes at a time: against scikit-learn's AUROC of the same images, and by construction."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from hilum.metrics import scores
from hilum.types import Score

CLASSES = ["covid19", "pneumonia", "normal"]


def predictions(images: int = 240, seed: int = 0, sources: int = 2) -> pd.DataFrame:
    """Probabilities that know the source and, a little, the class; patients of two images."""
    random = np.random.default_rng(seed)
    source = np.arange(images) // 2 % sources
    label = np.where(random.random(images) < 0.6, source, random.integers(0, 3, images))
    knows = 2.0 * np.eye(3)[source % 3] + 0.7 * np.eye(3)[label]
    logits = random.normal(knows, 1.0)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = pd.DataFrame(p, columns=[f"p_{name}" for name in CLASSES])
    return table.assign(
        cell="one",
        sample_id=[f"set/{i}" for i in range(images)],
        path=[f"/{i}.png" for i in range(images)],
        patient_id=[f"set:{i // 2}" for i in range(images)],
        source=[f"hospital {i}" for i in source],
        fold=0,
        seed=0,
        label=np.array(CLASSES, object)[label],
    )


def told(table: pd.DataFrame) -> dict[tuple[str, str], Score]:
    found = scores.score(table, CLASSES, "one")
    return {(score.name, score.class_): score for score in found if "against" in score.name}


@pytest.mark.parametrize("where", ["", ", inside hospital 0", ", inside hospital 1"])
@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
def test_areas_are_scikit_learns_of_the_same_images(first: int, second: int, where: str) -> None:
    table = predictions()
    score = told(table)[f"auroc (against {CLASSES[second]}{where})", CLASSES[first]]
    rows = table[table["label"].isin([CLASSES[first], CLASSES[second]])]
    rows = rows[rows["source"] == where.removeprefix(", inside ")] if where else rows
    p, other = rows[f"p_{CLASSES[first]}"], rows[f"p_{CLASSES[second]}"]
    assert score.n == len(rows)
    expected = roc_auc_score(rows["label"] == CLASSES[first], p / (p + other))
    assert score.value == pytest.approx(expected, abs=1e-12)
    assert score.low is not None
    assert score.high is not None
    assert score.low < score.value < score.high


def test_what_the_source_tells_is_gone_inside_a_source() -> None:
    found = told(predictions(4000))
    everywhere = found["auroc (against pneumonia)", "covid19"].value
    inside = found["auroc (against pneumonia, inside hospital 0)", "covid19"].value
    # logits of the two differ by 0.7 * 2 / sqrt(2) standard deviations: Phi(0.99 / sqrt(2)) = 0.76
    assert inside == pytest.approx(0.76, abs=0.04)
    assert everywhere > inside + 0.05


def test_nothing_is_told_of_one_source_or_of_too_few_images() -> None:
    assert not told(predictions(sources=1))
    few = predictions()
    lost = (few["source"] == "hospital 1") & (few["label"] == "normal")
    few = few.drop(few.index[lost][9:])
    assert ("auroc (against normal, inside hospital 1)", "covid19") not in told(few)
    assert ("auroc (against normal, inside hospital 0)", "covid19") in told(few)


def test_seeds_are_averaged() -> None:
    one, two = predictions(seed=1), predictions(seed=2).assign(seed=1)
    both = told(pd.concat([one, two], ignore_index=True))
    key = ("auroc (against pneumonia)", "covid19")
    each = [told(table)[key].value for table in (one, two)]
    assert both[key].value == pytest.approx(np.mean(each))
    assert both[key].n is None
