"""Published figures as a CSV gives them: values with their rounding, and how many were tested."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pandas as pd

from hilum.types import HilumError, LeftOut, require_columns

COLUMNS = ("study", "dataset", "model", "init", "freeze", "class", "metric", "value", "where")
GROUP = ["study", "dataset", "model", "init", "freeze"]  # what makes rows one experiment
COUNTS = ("TP", "FP", "FN", "TN", "n")
RATES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "recall": "sensitivity",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "ppv": "precision",
    "npv": "npv",
    "f1": "f1",
}  # the CSV's word -> the metric's name
AVERAGES = re.compile(r"overall|macro|micro|weighted|average|mean|all|-|\d+-class", re.I)
TEST_SIZES = re.compile(r"\btest (\d+(?:/\d+)+)")
NUMBERS = re.compile(r"(?<![\w.@-])\d+(?![\w.%-])")


@dataclass(frozen=True, slots=True)
class Figure:
    """One printed rate: its value, half a unit of its last digit, and where it is."""

    class_: str
    metric: str  # a name of METRICS, or a sum of counts
    at: str  # the threshold after "@", or nothing
    value: float
    half: float
    shown: str  # the CSV's own words, for sentences
    where: str

    @property
    def is_average(self) -> bool:
        """Whether it is of all classes together."""
        return AVERAGES.fullmatch(self.class_) is not None

    def allows(self, low: float, high: float | None = None) -> bool:
        """Whether a true value from `low` to `high` can be printed like this, ends included."""
        top = low if high is None else high
        return low <= self.value + self.half + 1e-9 and top >= self.value - self.half - 1e-9


@dataclass(frozen=True, slots=True)
class Sizes:
    """Images per class; `exact` where they are the test set, else an upper bound."""

    per_class: dict[str, int]
    total: int | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Experiment:
    """All figures of one model on one data set."""

    study: str
    model: str
    figures: tuple[Figure, ...]
    counts: dict[str, dict[str, int]]  # class -> TP, FP, FN, TN
    sizes: Sizes


def read_published_table(path: Path) -> tuple[list[Experiment], list[LeftOut]]:
    """Experiments of a CSV with COLUMNS, and the rows that hold no figure to check.

    Raises HilumError for a file that is no such table.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise HilumError(
            f"a table of published figures must be a CSV; got '{path}': {error}."
        ) from error
    require_columns(table, COLUMNS, "a table of published figures")
    return parse_published_table(table)


def parse_published_table(table: pd.DataFrame) -> tuple[list[Experiment], list[LeftOut]]:
    """Experiments of a table of strings (COLUMNS), and the rows left out with their reasons."""
    reasons = [_reason(row) for row in table.to_dict("records")]
    left_out = [
        LeftOut(f"{row['study']}: {row['metric']} of {row['class']} = {row['value']}", reason)
        for row, reason in zip(table.to_dict("records"), reasons, strict=True)
        if reason
    ]
    kept = table[pd.Series([not reason for reason in reasons], table.index, dtype=bool)].copy()
    if kept.empty:
        return [], left_out
    kept["digits"] = [_digits(row) for row in kept.to_dict("records")]
    kept["place"] = kept["where"].str.replace(r"\s*[(;].*", "", regex=True)
    # a CSV drops trailing zeros: a table prints all its figures with the same number of digits
    kept["digits"] = kept.groupby(["study", "place"])["digits"].transform("max")
    groups = kept.groupby(GROUP, sort=False)
    return [_experiment(key, rows) for key, rows in groups], left_out


def _reason(row: dict[str, str]) -> str:
    base = row["metric"].partition("@")[0].removesuffix("_exact")
    if base not in RATES and base not in COUNTS:
        return f"'{row['metric']}' is not a rate or a count that can be checked"
    value = _number(row["value"])
    if value is None:
        return "not a number"
    whole = value >= 0 and value == value.to_integral_value()
    return "" if base in RATES or whole else "a count must be a whole number of images"


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _digits(row: dict[str, str]) -> int:
    value = _number(row["value"])
    exponent = 0 if value is None or row["metric"] in COUNTS else value.as_tuple().exponent
    return max(0, -int(exponent))


def _experiment(key: tuple[str, ...], rows: pd.DataFrame) -> Experiment:
    records = rows.to_dict("records")
    counts: dict[str, dict[str, int]] = {}
    for row in records:
        if row["metric"] in COUNTS:
            counts.setdefault(row["class"], {})[row["metric"]] = int(float(row["value"]))
    figures = tuple(_figure(row) for row in records if row["metric"] not in COUNTS)
    named = [figure.class_ for figure in figures if not figure.is_average]
    sizes = _sizes(key[1], list(dict.fromkeys(named)), counts)
    return Experiment(key[0], key[2], figures, counts, sizes)


def _figure(row: dict[str, str | int]) -> Figure:
    name, _, at = str(row["metric"]).partition("@")
    digits = int(row["digits"])
    return Figure(
        class_=str(row["class"]),
        metric=RATES[name.removesuffix("_exact")],
        at=at,
        value=float(row["value"]),
        half=0.5 * 10.0**-digits,
        shown=f"{row['metric']} of {row['class']} is printed {float(row['value']):.{digits}f}",
        where=str(row["where"]),
    )


def _sizes(dataset: str, classes: Sequence[str], counts: dict[str, dict[str, int]]) -> Sizes:
    """From rows "n", else "test 42/282" in the data set's description, else its plain numbers.

    Numbers stand for the classes in the order in which the table names them.
    """
    stated = {name: own["n"] for name, own in counts.items() if "n" in own}
    if stated and set(stated) >= set(classes):
        return Sizes(stated, sum(stated.values()), exact=True)
    test = TEST_SIZES.search(dataset)
    numbers = test[1].split("/") if test else NUMBERS.findall(dataset)
    matched = len(numbers) == len(classes) > 1
    values = [int(number) for number in numbers]
    per_class = dict(zip(classes, values, strict=True)) if matched else {}
    total = sum(values) if test or matched else None
    return Sizes(per_class, total, exact=test is not None)
