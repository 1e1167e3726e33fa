"""The course of training as tables: epochs through all stages, stop rules, overfitting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hilum.report.wording import count

ONE = ["cell", "fold", "seed"]  # what makes one training
RISE = 0.2  # of the validation loss above its lowest point, from which we speak of overfitting
TAIL = 3  # last epochs, whose median is compared: one bad epoch is not yet overfitting


@dataclass(frozen=True, slots=True)
class Rule:
    """Stop at the end of the first epoch whose validation has at least / less than this."""

    accuracy: float
    loss: float


PAPER_RULE = Rule(0.89, 0.3)  # El Azhari, study 000: the rule of its callback


def with_steps(history: pd.DataFrame) -> pd.DataFrame:
    """HISTORY_COLUMNS with `step`, the epoch counted from 1 on through the stages of a cell."""
    parts = [rows.assign(step=_steps(rows)) for _, rows in history.groupby("cell", sort=False)]
    return pd.concat(parts, ignore_index=True)


def _steps(rows: pd.DataFrame) -> "pd.Series[int]":
    """Each stage may begin again at its first epoch, or count on."""
    spans = rows.groupby("stage", sort=False)["epoch"].agg(["min", "max"])
    shift, end = {}, 0
    for stage, (first, last) in zip(spans.index, spans.to_numpy(), strict=True):
        shift[stage] = max(1, end + 1 - int(first))
        end = shift[stage] + int(last)
    return rows["epoch"] + rows["stage"].map(shift)


def on_path(history: pd.DataFrame) -> "pd.Series[bool]":
    """Rows of a regularisation path (`strength` is recorded) rather than of an epoch."""
    if "strength" not in history:
        return pd.Series(data=False, index=history.index)
    return history["strength"].notna()


def trainings(rows: pd.DataFrame) -> list[str]:
    """What makes one training: on regularisation paths alone, each stage is one of its own."""
    return [*ONE, "stage"] if on_path(rows).all() else ONE


def mean(rows: pd.DataFrame, of: str, along: str) -> "pd.Series[float]":
    """Mean of `of` over the trainings, at those points of `along` that every training reached.

    A mean over the survivors of early stopping would jump where one drops out.
    """
    runs = len(rows[trainings(rows)].drop_duplicates())
    grouped = rows.groupby(along)[of].agg(["mean", "count"])
    return grouped.loc[grouped["count"] == runs, "mean"]


def watched(history: pd.DataFrame) -> str:
    """The part that was looked at after each epoch: validation, or test where none validates."""
    return "test" if set(history["part"]) == {"train", "test"} else "validation"


def lowest(history: pd.DataFrame) -> pd.DataFrame:
    """The watched row with the lowest loss of each training, the first of equals."""
    watched_rows = history[history["part"] != "train"].dropna(subset=["loss"])
    watched_rows = watched_rows.reset_index(drop=True)
    return watched_rows.loc[
        watched_rows.groupby(trainings(watched_rows), sort=False)["loss"].idxmin()
    ]


def overfit(history: pd.DataFrame) -> pd.DataFrame:
    """One row per training by epochs: ONE, step and loss at the lowest point, end, rise, overfits.

    `end` is the median of the last epochs after the lowest point, `rise` its excess over the lowest
    loss; a regularisation path is no training by epochs, it is walked beyond its best on purpose.
    """
    epochs = history[~on_path(history)]
    rows = []
    for best in lowest(epochs).to_dict("records"):
        same_training = (epochs[ONE] == [best[name] for name in ONE]).all(axis=1)
        after = epochs[
            same_training & (epochs["part"] != "train") & (epochs["step"] > best["step"])
        ]
        end = float(after.sort_values("step")["loss"].tail(TAIL).median())
        rise = end / best["loss"] - 1 if len(after) and best["loss"] > 0 else 0.0
        end = end if len(after) else best["loss"]
        kept = {name: best[name] for name in (*ONE, "step", "loss")}
        rows.append({**kept, "end": end, "rise": rise, "overfits": rise > RISE})
    return pd.DataFrame(rows, columns=[*ONE, "step", "loss", "end", "rise", "overfits"])


def overfit_notes(history: pd.DataFrame, names: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence on the cells (by their short `names`) whose watched loss rose again."""
    table = overfit(history)
    if table.empty:
        return ()
    bad = [_rise(str(cell), rows, names) for cell, rows in table.groupby("cell", sort=False)]
    bad = [words for words in bad if words]
    what = f"by more than {RISE:.0%} after its lowest point"
    if not bad:
        return (f"No training's {watched(history)} loss rose {what}.",)
    part = watched(history).capitalize()
    return (f"{part} loss rose {what}, a sign of overfitting: {'; '.join(bad)}.",)


def _rise(cell: str, rows: pd.DataFrame, names: Mapping[str, str]) -> str:
    """ "vgg16 in 2 of 5 trainings (at worst from 0.31 in epoch 7 to 0.43 at the end, +39%)"."""
    bad = rows[rows["overfits"]]
    if bad.empty:
        return ""
    worst = bad.loc[bad["rise"].idxmax()]
    of = "" if len(rows) == 1 else f" in {len(bad)} of {count(len(rows), 'training')}"
    return (
        f"{names.get(cell, cell)}{of} ({'' if len(bad) == 1 else 'at worst '}"
        f"from {worst['loss']:.3f} in epoch {worst['step']} to {worst['end']:.3f} at the end, "
        f"+{worst['rise']:.0%})"
    )


def stops(history: pd.DataFrame, rule: Rule = PAPER_RULE) -> pd.DataFrame:
    """One row per training: ONE, epochs until the rule held (missing: never), epochs that ran.

    Accuracy at least, loss below, both of the watched part at the end of the same epoch.
    """
    watched_rows = history[(history["part"] != "train") & ~on_path(history)]
    rows = []
    for key, one in watched_rows.groupby(ONE, sort=False):
        ordered = one.sort_values("step")
        held = ((ordered["accuracy"] >= rule.accuracy) & (ordered["loss"] < rule.loss)).to_numpy()
        epochs = int(held.argmax()) + 1 if held.any() else None
        rows.append({**dict(zip(ONE, key, strict=True)), "epochs": epochs, "ran": len(ordered)})
    table = pd.DataFrame(rows, columns=[*ONE, "epochs", "ran"])
    return table.astype({"epochs": "Int64"})


def stop_rule(recipe: Mapping[str, Any]) -> tuple[Rule, str]:
    """The stop rule of the recipe's first stage that has one, else the paper's; and which it is."""
    for stage in _stages(recipe):
        if rule := stage.get("stop"):
            return Rule(float(rule["accuracy"]), float(rule["loss"])), "the rule of this run"
    return PAPER_RULE, "the rule of study 000, which did not stop this run"


def _stages(recipe: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The stages of the study's training, of its grid and of its arms."""
    tried = (recipe.get("grid") or {}).get("train") or []
    arms = (arm.get("train") for arm in (recipe.get("arms") or {}).values())
    for train in (recipe.get("train"), *tried, *arms):
        if isinstance(train, dict):
            yield from train.get("stages") or []
