"""What the cells of a grid differ in, and the tables that compare them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

AXIS = re.compile(r"(?:^|,)([\w-]+)=")
QUESTION = re.compile(r"([\w-]+): (?!(?:source|later)$)")  # leads the cells of a task
ELSEWHERE = re.compile(r": (source|later)$")  # ends those of a source task's and of a second test
TEST, TESTS = "test", {"source": "source task", "later": "later films"}
MAIN = "main question"
MODEL = "backbone"
BARS = {
    "precision": "Precision",
    "sensitivity": "Recall",
    "f1": "F1",
    "micro": "Micro F1",
    "accuracy": "Accuracy",
}


def axes(cells: Sequence[str]) -> pd.DataFrame:
    """One row per cell ("backbone=vgg16,weights=random"), one column per axis of the grid.

    What leads a cell's name without a "=" is its arm ("frozen,backbone=vgg16"), one more axis, and
    so are the question, where there are tasks, and the test, where there is a second one. Cells
    that are not named so have the single axis "cell" next to it.
    """
    questions_of = [QUESTION.match(cell) for cell in cells]
    plain = [
        cell[match.end() :] if match else cell
        for cell, match in zip(cells, questions_of, strict=True)
    ]
    tested = [ELSEWHERE.search(cell) for cell in plain]
    plain = [cell[: end.start()] if end else cell for cell, end in zip(plain, tested, strict=True)]
    rows = [_parts(cell) for cell in plain]
    if not rows or any(row.keys() != rows[0].keys() for row in rows) or not rows[0]:
        rows = [{"cell": cell} for cell in plain]
    if any(questions_of):
        questions = [match[1] if match else MAIN for match in questions_of]
        rows = [{"question": one, **row} for one, row in zip(questions, rows, strict=True)]
    if any(tested):
        which = [TESTS[end[1]] if end else "own test" for end in tested]
        rows = [{**row, TEST: one} for one, row in zip(which, rows, strict=True)]
    return pd.DataFrame(rows, index=list(cells))


def _parts(cell: str) -> dict[str, str]:
    matches = list(AXIS.finditer(cell))
    if not matches:
        return {}
    ends = [*(match.start() for match in matches[1:]), len(cell)]
    arm = {"arm": cell[: matches[0].start()]} if matches[0].start() else {}
    return arm | {
        match[1]: cell[match.end() : end] for match, end in zip(matches, ends, strict=True)
    }


def short_names(cells: Sequence[str]) -> dict[str, str]:
    """A short name per cell: what it does not share with all others."""
    table = axes(list(dict.fromkeys(cells)))
    varied = [name for name in table if table[name].nunique() > 1]
    return {str(cell): _words(row, varied) or str(cell) for cell, row in table.iterrows()}


def _words(row: "pd.Series[Any]", names: Sequence[str]) -> str:
    """Values speak for themselves unless they are numbers or truths: "vgg16, last 2"."""
    values = [(name, str(row[name])) for name in names]
    return ", ".join(text if _tells(text) else f"{name} {text}" for name, text in values)


def _tells(text: str) -> bool:
    return any(c.isalpha() for c in text) and text.lower() not in ("true", "false")


def split_axes(cells: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Per cell its model, and its arm: all else that varies ("" where nothing does)."""
    table = axes(list(dict.fromkeys(cells)))
    varied = [str(name) for name in table if table[name].nunique() > 1]
    tried = [name for name in varied if name not in ("question", TEST)]
    own = MODEL if MODEL in varied else max(tried, key=lambda n: table[n].nunique(), default="")
    rest = [name for name in varied if name != own]
    models = {str(c): _words(row, [own] if own else []) or str(c) for c, row in table.iterrows()}
    return models, {str(c): _words(row, rest) for c, row in table.iterrows()}


def bars(scores: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> pd.DataFrame:
    """One row per cell, class and figure of BARS (model, arm, cell, class, metric, value, ends).

    With one label per image, micro-averaged precision, recall and F1 all equal accuracy.
    """
    scores_by_key = {(str(r.get("cell")), r.get("name"), r.get("class")): r for r in scores}
    cells = list(dict.fromkeys(cell for cell, _, _ in scores_by_key))
    models, arms = split_axes(cells)
    rows = []
    for cell in cells:
        for class_ in classes:
            for metric in BARS:
                score = scores_by_key.get((cell, *_which(metric, class_)), {})
                kept = {key: score.get(key) for key in ("value", "low", "high", "k", "n")}
                keys = {"model": models[cell], "arm": arms[cell], "cell": cell}
                rows.append({**keys, "class": class_, "metric": metric, **kept})
    floats = dict.fromkeys(("value", "low", "high"), "float64")
    whole = dict.fromkeys(("k", "n"), "Int64")
    return pd.DataFrame(rows).astype({**floats, **whole}) if rows else pd.DataFrame()


def on_other_films(cell: str) -> bool:
    """Whether a cell's figures are of other films than the study's own test."""
    return ELSEWHERE.search(cell) is not None


def spread(table: pd.DataFrame, metric: str = "accuracy") -> tuple[float, float, int] | None:
    """Lowest and highest value of a figure of `bars` over the models, and how many have one.

    Of the study's own test: a model's test on other films is no other model.
    """
    own = ~table["cell"].map(on_other_films).astype(bool)
    values = table[own & (table["metric"] == metric)].groupby("cell")["value"].first().dropna()
    return (float(values.min()), float(values.max()), len(values)) if len(values) > 1 else None


def _which(metric: str, class_: str) -> tuple[str, str]:
    return {"micro": ("f1", "micro"), "accuracy": ("accuracy", "overall")}.get(
        metric, (metric, class_)
    )


def sweep_table(
    scores: Sequence[Mapping[str, Any]], metric: tuple[str, str] = ("accuracy", "overall")
) -> pd.DataFrame:
    """One score along a grid axis: axis, x, series, cell, metric, value, low, high, k, n.

    The axis is the numeric one with most values, else the one with most values; every combination
    of the others is a series.
    """
    scores_by_cell = {
        str(r["cell"]): r for r in scores if (r.get("name"), r.get("class")) == metric
    }
    table = axes(list(scores_by_cell))
    varied = [str(name) for name in table if table[name].nunique() > 1]
    along = [name for name in varied if name != TEST]
    if not along:
        return pd.DataFrame()
    axis = max(along, key=lambda name: (_numeric(table[name]), table[name].nunique()))
    rest = [name for name in varied if name != axis]
    rows = []
    for cell, row in table.iterrows():
        score = scores_by_cell[str(cell)]
        kept = {key: score.get(key) for key in ("value", "low", "high", "k", "n")}
        keys = {"axis": axis, "x": row[axis], "series": _words(row, rest), "cell": cell}
        rows.append({**keys, "metric": metric[0], **kept})
    out = pd.DataFrame(rows)
    out["x"] = pd.to_numeric(out["x"]) if _numeric(out["x"]) else out["x"]
    return out.sort_values("x", kind="stable", ignore_index=True) if _numeric(out["x"]) else out


def _numeric(values: "pd.Series[Any]") -> bool:
    return bool(pd.to_numeric(values, errors="coerce").notna().all())
