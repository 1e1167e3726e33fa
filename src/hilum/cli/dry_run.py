"""What --dry-run prints: what would be read, divided and run, and roughly how long it takes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli.progress_bars import clock_words
from hilum.cli.terminal import Terminal
from hilum.types import CLASS_NAMES, NOTICE

if TYPE_CHECKING:
    from hilum.experiment.forecast import Forecast
    from hilum.experiment.forecast_model import ModelForecast

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Say what would be read, split and run, and how long; write nothing."
    ),
]
PARTS = ("train", "validation", "test")
MOST = 20  # rows of a table that are listed
NOTHING = "Nothing was run and nothing was written."


def show_runs(forecasts: Sequence["Forecast"], screen: Terminal) -> None:
    """The forecast of each question of a recipe, and what all of them take."""
    for forecast in forecasts:
        if len(forecasts) > 1:
            screen.gap()
            screen.say(f"Question: {forecast.name}", "bold")
        _show_run(forecast, screen)
    known = [one.seconds for one in forecasts if one.seconds is not None]
    screen.gap()
    if len(known) == len(forecasts) > 1:
        screen.say(f"All questions together: about {duration(sum(known))}.", "bold")
    screen.say(NOTHING)
    screen.say(NOTICE, "dim")
    screen.give({"forecasts": list(forecasts), "notice": NOTICE})


def _show_run(forecast: "Forecast", screen: Terminal) -> None:
    if forecast.images:
        screen.say(_read(forecast.images, forecast.cached), "bold")
    _counts(forecast.counts, screen)
    _split(forecast, screen)
    refused = list(forecast.refused.items())
    screen.table("Cells that cannot be run", ("cell", "why"), refused)
    screen.left_out(forecast.left_out)
    screen.notes(forecast.notes)
    if forecast.images:
        screen.gap()
        screen.say(_trainings(forecast))
        screen.say(_passes(forecast))
    screen.say(_time(forecast.seconds, forecast.estimate), "bold")


def show_model(forecast: "ModelForecast", screen: Terminal) -> None:
    """The forecast of a finished model's work."""
    screen.say(_read(forecast.images, forecast.cached), "bold")
    _counts(forecast.counts, screen)
    screen.left_out(forecast.left_out)
    if forecast.seen:
        screen.say(
            f"{forecast.seen:,} of these files were used to build this model: they would be set "
            "aside.",
            "bold red",
        )
    screen.gap()
    screen.say(f"{forecast.passes:,} images through the network, mirrored ones included.")
    screen.say(_time(forecast.seconds, forecast.estimate), "bold")
    screen.say(forecast.verdict)
    screen.say(NOTHING)
    screen.say(NOTICE, "dim")
    screen.give({"forecast": forecast, "notice": NOTICE})


def _read(images: int, cached: int) -> str:
    new = images - cached
    if not cached:
        return f"{images:,} images would be read; none is in the cache."
    return f"{images:,} images would be read: {new:,} to decode, {cached:,} from the cache."


def _counts(counts: Sequence[Mapping[str, Any]], screen: Terminal) -> None:
    columns = list(counts[0]) if counts else []
    ordered = sorted(counts, key=lambda row: -row["images"])
    rows = [tuple(_word(row[name]) for name in columns) for row in ordered[:MOST]]
    if len(ordered) > MOST:
        rest = sum(row["images"] for row in ordered[MOST:])
        rows.append((f"{len(ordered) - MOST} more", *("" for _ in columns[2:]), f"{rest:,}"))
    screen.table("Would be read", columns, rows)


def _split(forecast: "Forecast", screen: Terminal) -> None:
    """The first fold: its images by class and source in each part."""
    first = forecast.split[0]["fold"] if forecast.split else 0
    table: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in forecast.split:
        if row["fold"] == first:
            table[row["class"], row["source"]][row["part"]] = row["images"]
    rows = [
        (_word(class_), source, *(f"{parts.get(part, 0):,}" for part in PARTS))
        for (class_, source), parts in list(table.items())[:MOST]
    ]
    sums = (sum(parts.get(part, 0) for parts in table.values()) for part in PARTS)
    rows.append(("all", "", *(f"{one:,}" for one in sums)))
    several = forecast.folds > 1
    title = f"Split (fold 1 of {forecast.folds}, first seed)" if several else "Split (first seed)"
    screen.table(title, ("class", "source", *PARTS), rows if table else [])


def _trainings(forecast: "Forecast") -> str:
    product = (len(forecast.cells), forecast.folds, forecast.seeds)
    words = " x ".join(
        f"{count} {word if count == 1 else word + 's'}"
        for count, word in zip(product, ("cell", "fold", "seed"), strict=True)
    )
    names = f" ({', '.join(forecast.cells)})" if len(forecast.cells) > 1 else ""
    models = "1 model" if forecast.trainings == 1 else f"{forecast.trainings:,} models"
    return f"{words}: {models} would be trained{names}."


def _passes(forecast: "Forecast") -> str:
    frozen, training = (
        sum(counts.values()) for counts in (forecast.work.frozen, forecast.work.training)
    )
    sentence = f"{frozen:,} images through frozen networks, views and mirrored ones included"
    if training:
        sentence += f"; at most {training:,} through networks that train, forwards and backwards"
    return sentence + "."


def _time(seconds: float | None, estimate: str) -> str:
    if seconds is None:
        return f"Time: {estimate.rstrip('.')}."
    return f"Time: about {duration(seconds)} ({estimate.rstrip('.')})."


def duration(seconds: float) -> str:
    """ "40 seconds", "3 minutes", "2:10 hours": no more figures than an estimate deserves."""
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 5400:
        return f"{round(seconds / 60)} minutes"
    return f"{clock_words(round(seconds / 60) * 60).rsplit(':', 1)[0]} hours"


def _word(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else CLASS_NAMES.get(str(value), str(value))
