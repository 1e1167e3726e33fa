"""What an answer would be worth where the class is rarer or commoner than on the test images."""

from typing import Any

from hilum.metrics.intervals import Interval
from hilum.metrics.thresholds import enough, predictive_intervals, predictive_values
from hilum.report.run_folder import RunFolder
from hilum.report.score_tables import chosen_scores
from hilum.report.wording import class_name, number

PREVALENCES = (0.01, 0.05, 0.2, 0.5)


def elsewhere(run: RunFolder) -> list[list[str]]:
    """PPV and NPV of each class at other prevalences, with intervals; none from a few images.

    The ends of sensitivity's and specificity's intervals are carried through (`enough` says when).
    Altman & Bland 1994, doi:10.1136/bmj.309.6947.102.
    """
    scores = {(row.get("class"), row.get("name")): row for row in chosen_scores(run)}
    rows = []
    for name in run.classes:
        both = [scores.get((name, what)) for what in ("sensitivity", "specificity")]
        valued = [row for row in both if row and isinstance(row.get("value"), int | float)]
        if len(valued) == 2:
            rows += [[class_name(name), *row] for row in _worth(run, name, valued)]
    return rows


def _worth(run: RunFolder, name: str, both: list[dict[str, Any]]) -> list[list[str]]:
    """One class's rows, PPV and NPV, or why there are none."""
    sizes = _sizes(run, name, both)
    blank = [""] * (len(PREVALENCES) - 1)
    if not enough(*sizes):
        return [["", f"too few images: {sizes[0]:,} and {sizes[1]:,} others", *blank]]
    sure, spared = (_ends(row) for row in both)
    if sure is None or spared is None:
        return [["", "no interval", *blank]]
    values = predictive_values(both[0]["value"], both[1]["value"], PREVALENCES)
    ends = predictive_intervals(sure, spared, PREVALENCES)
    return [
        [
            kind.upper(),
            *(
                f"{number(value)} ({number(low)} to {number(high)})"
                for value, low, high in zip(
                    values[kind], ends[f"{kind}_low"], ends[f"{kind}_high"], strict=True
                )
            ),
        ]
        for kind in ("ppv", "npv")
    ]


def _ends(row: dict[str, Any]) -> Interval | None:
    low, high = row.get("low"), row.get("high")
    return None if low is None or high is None else Interval(float(low), float(high))


def _sizes(run: RunFolder, name: str, both: list[dict[str, Any]]) -> tuple[int, int]:
    """Test images with and without the class; of several seeds each image once."""
    counted = [row.get("n") for row in both]
    if all(isinstance(n, int) for n in counted):
        return counted[0] or 0, counted[1] or 0
    predictions = run.chosen()
    if predictions is None:
        return 0, 0
    labels = predictions.drop_duplicates("sample_id")["label"]
    return int((labels == name).sum()), int((labels != name).sum())
