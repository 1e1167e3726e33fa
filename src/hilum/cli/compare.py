"""hilum compare: two runs on the images that both have tested."""

from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.types import CLASS_NAMES, NOTICE

Run = Annotated[Path, typer.Argument(help="The --out folder of a finished run.")]
SURE = 0.05  # corrected p below which a difference is marked


@app.command()
def compare(
    first: Run,
    second: Run,
    html: Annotated[
        Path | None, typer.Option("--html", help="A new file: both runs side by side on a page.")
    ] = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Compare two runs on the same test images: differences, intervals and p-values."""
    from hilum.experiment import compare

    screen = terminal(as_json, verbose, quiet)
    comparison = compare.compare_runs(first, second, html)
    rows = [
        (
            _name(row.name, row.class_),
            _figure(row.first),
            _figure(row.second),
            _figure(row.difference, "+"),
            "" if isnan(row.low) else f"{row.low:+.3f} to {row.high:+.3f}",
            _p(row.p_holm),
            "*" if row.p_holm < SURE else "",
        )
        for row in comparison.differences
    ]
    screen.say(comparison.sentence, "bold")
    columns = ("score", "first", "second", "difference", "95%", "p (Holm)", "")
    screen.table("Second minus first", columns, rows)
    screen.left_out(comparison.left_out)
    for note in comparison.notes:
        screen.say(f"• {note}")
    if html is not None:
        screen.point("Page", html.resolve())
    screen.say(NOTICE, "dim")
    screen.give({**comparison.as_json(), "notice": NOTICE})


def _figure(value: float, sign: str = "") -> str:
    """Three decimals; a dash where the figure is undefined (0 of 0)."""
    return "–" if isnan(value) else f"{value:{sign}.3f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else _figure(value)


def _name(name: str, class_: str) -> str:
    from hilum.report.wording import score_name

    words = score_name(name)
    return words if class_ == "overall" else f"{words}, {CLASS_NAMES.get(class_, class_)}"
