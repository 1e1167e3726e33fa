"""What of a finished run an experiment tracker keeps: parameters, figures, course, words, files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from hilum.report import run_folder
from hilum.report.run_folder import RunFolder
from hilum.types import NOTICE

FILES = ("report.html", "results.json", "recipe.toml", "predictions.csv")
ODD = re.compile(r"[^\w\-. /]", re.ASCII)  # what a tracker takes in no name
MODEL = ("cell", "fold", "backbone", "weights", "head", "temperature")  # of a run's chosen model


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run, ready for any tracker; names are made of letters that every tracker takes."""

    name: str
    parameters: dict[str, str]
    figures: dict[str, float]  # "main/accuracy", "main/accuracy.low", "main/accuracy.high"
    course: pd.DataFrame  # name, step, value: loss and accuracy of every epoch
    words: dict[str, str]  # verdict, audits, notice
    files: list[Path]


def read_facts(out: Path) -> RunFacts:
    """The facts of a finished run; raises as `run_folder.read_run`."""
    run = run_folder.read_run(out)
    counts = pd.Series([row.get("status") for row in run.rows("audits")], dtype=str).value_counts()
    audits = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return RunFacts(
        name=str(run.results.get("recipe") or out.name),
        parameters=_parameters(run),
        figures=_figures(run),
        course=_course(run),
        words={
            "verdict": str(run.results.get("verdict", "")),
            "audits": audits or "none made",
            "notice": str(run.results.get("notice", NOTICE)),
        },
        files=[out / name for name in FILES if (out / name).is_file()],
    )


def _parameters(run: RunFolder) -> dict[str, str]:
    """Every key of the recipe, and what the chosen model is."""
    model = run.section("model")
    chosen = {f"model.chosen.{name}": model[name] for name in MODEL if name in model}
    flat = dict(_flat(run.recipe)) | dict(_flat(chosen))
    return {plain_name(name): str(value) for name, value in flat.items()}


def _flat(value: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of nested tables and lists, joined by points."""
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        pairs = dict(enumerate(value)).items()
    else:
        yield before, value
        return
    for key, item in pairs:
        yield from _flat(item, f"{before}.{key}" if before else str(key))


def _figures(run: RunFolder) -> dict[str, float]:
    """Value and both ends of the interval of every score that is a number."""
    figures: dict[str, float] = {}
    for row in run.scores:
        class_ = row.get("class")
        words = f"{row['cell']}/{row['name']}" + ("" if class_ == "overall" else f" {class_}")
        ends = {"": row.get("value"), ".low": row.get("low"), ".high": row.get("high")}
        for end, value in ends.items():
            if value is not None and isfinite(value):
                figures[plain_name(words + end)] = float(value)
    return figures


def _course(run: RunFolder) -> pd.DataFrame:
    """name, step and value of every epoch's loss and accuracy."""
    history = run.history
    if history is None or history.empty:
        return pd.DataFrame({"name": [], "step": [], "value": []})
    columns = [name for name in ("loss", "accuracy") if name in history]
    keys = ["cell", "fold", "seed", "stage", "part"]
    long = history.melt([*keys, "epoch"], columns, "figure").dropna(subset="value")
    course = [
        f"{row.cell}/fold {row.fold} seed {row.seed}/{row.stage} {row.part} {row.figure}"
        for row in long.itertuples()
    ]
    names = [plain_name(name) for name in course]
    return pd.DataFrame(
        {"name": names, "step": long["epoch"].to_numpy(int), "value": long["value"]}
    )


def plain_name(name: str) -> str:
    """A name of ASCII letters, digits, blanks and "_-./" alone; what else it has is written out."""
    return ODD.sub(lambda match: f"_{ord(match[0]):x}_", name)
