"""Published figures as a CSV gives them: values with their rounding, and how many were tested."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pandas as pd

from hilum import files
from hilum.datasets import columns
from hilum.types import HilumError, LeftOut, require_columns

EXPLAINED = {
    "study": "a name for the paper, the same in each of its rows",
    "dataset": "the images; with 'test 42/282' in it the sizes of the test classes are known, in "
    "the order in which the table names them",
    "model": "the network; rows with the same study, dataset, model, init and freeze are one "
    "experiment, whose figures are checked against each other",
    "init": "its weights before training, such as ImageNet; may be empty",
    "freeze": "what was not trained; may be empty",
    "class": "a class, or overall, macro, micro, weighted or average for all of them",
    "metric": "accuracy, balanced_accuracy, sensitivity (or recall), specificity, precision (or "
    "ppv), npv or f1; @0.15 behind it names a threshold; or a count: TP, FP, FN, TN, or n for the "
    "test images of the class",
    "value": "as it is printed, with all its digits: 0.90 says more than 0.9; rates from 0 to 1",
    "where": "the place in the paper, such as Table 2",
}  # column -> what belongs in it
COLUMNS = tuple(EXPLAINED)
EXAMPLE = ("yamani2021", "COVID-Xray-5k, test 100/3000", "ResNet18", "ImageNet", "all but the last "
           "layer", "covid19", "sensitivity@0.15", "0.976", "Table 1")  # fmt: skip
REMARK = "#"  # begins a row that explains
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
class PrintedRate:
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
    figures: tuple[PrintedRate, ...]
    counts: dict[str, dict[str, int]]  # class -> TP, FP, FN, TN
    sizes: Sizes


def read_published_table(path: Path) -> tuple[list[Experiment], list[LeftOut]]:
    """Experiments of a CSV with COLUMNS, and the rows that hold no figure to check.

    Raises HilumError for a file that is no such table.
    """
    if not path.is_file():
        raise HilumError(
            f"a table of published figures must be a CSV; got '{path}', which is "
            f"{'a folder' if path.is_dir() else 'not there'}; check the path."
        )
    table = columns.read_cells(path)
    require_columns(table, COLUMNS, f"a table of published figures ('{path}')")
    rows = table[~table["study"].str.startswith(REMARK)].reset_index(drop=True)
    if rows.empty:
        raise HilumError(
            f"a table of published figures must have a row for each figure; got '{path}' "
            "without any; fill it in."
        )
    return parse_published_table(rows)


def write_template(path: Path) -> None:
    """Write an empty table of published figures, its columns explained in rows that are skipped.

    Raises HilumError where something is there already.
    """
    if path.exists() or path.is_symlink():
        raise HilumError(
            f"--template writes a new file and changes none; got '{path}', which exists; "
            "name another file, or delete it."
        )
    remarks = [f"{name}: {words}" for name, words in EXPLAINED.items()]
    example = ",".join(f'"{cell}"' if "," in cell else cell for cell in EXAMPLE)
    remarks += [f"for example: {example}", "rows that begin with # are skipped"]
    rows = [COLUMNS, *((f"{REMARK} {text}", *[""] * (len(COLUMNS) - 1)) for text in remarks)]
    with files.atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


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


def _figure(row: dict[str, str | int]) -> PrintedRate:
    name, _, at = str(row["metric"]).partition("@")
    digits = int(row["digits"])
    return PrintedRate(
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
