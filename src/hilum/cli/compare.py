"""hilum compare: two runs on the images that both have tested; more of them in one table."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.tables import Cell
from hilum.cli.terminal import Terminal
from hilum.types import CLASS_NAMES, NOTICE, HilumError

if TYPE_CHECKING:
    from hilum.experiment.leaderboard import RankedScore

Run = Annotated[Path, typer.Argument(help="The --out folder of a finished run.")]
Runs = Annotated[
    list[Path] | None,
    typer.Argument(help="Further runs: then all of them in one table, the best first."),
]
Html = Annotated[
    Path | None, typer.Option("--html", help="A new file: both runs side by side on a page.")
]
SURE = 0.05  # corrected p below which a difference is marked


@app.command()
def compare(
    first: Run,
    second: Run,
    others: Runs = None,
    html: Html = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Compare two runs on the same test images: differences, intervals and p-values.

    Three runs or more are listed in one table, the best first.
    """
    screen = terminal(as_json, verbose, quiet)
    if not others:
        _pair(first, second, html, screen)
    elif html is None:
        _leaderboard([first, second, *others], screen)
    else:
        raise HilumError(
            f"--html shows two runs side by side; got {2 + len(others)}; name two, or leave "
            "--html out for a table of all."
        )


def _leaderboard(folders: list[Path], screen: Terminal) -> None:
    from hilum.experiment import leaderboard

    board = leaderboard.rank_runs(folders)
    titles = [figure.title for figure in board.standings[0].figures]
    shown = 1 if screen.narrow else len(titles)
    rows: list[tuple[Cell, ...]] = [
        (
            place,
            standing.run,
            *(_with_interval(figure) for figure in standing.figures[:shown]),
            standing.images,
            standing.verdict,
        )
        for place, standing in enumerate(board.standings, 1)
    ]
    columns = ("", "run", *titles[:shown], "test images", "verdict")
    screen.table(f"Runs by {titles[0].lower()} (95% intervals)", columns, rows)
    for note in board.notes:
        screen.say(f"• {note}")
    screen.say(NOTICE, "dim")
    screen.give({**board.as_json(), "notice": NOTICE})


def _pair(first: Path, second: Path, html: Path | None, screen: Terminal) -> None:
    from hilum.experiment import compare

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


def _with_interval(figure: "RankedScore") -> str:
    if figure.low is None or figure.high is None:
        return _figure(figure.value)
    return f"{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f})"


def _figure(value: float, sign: str = "") -> str:
    """Three decimals; a dash where the figure is undefined (0 of 0)."""
    return "–" if isnan(value) else f"{value:{sign}.3f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else _figure(value)


def _name(name: str, class_: str) -> str:
    from hilum.report.wording import score_name

    words = score_name(name)
    return words if class_ == "overall" else f"{words}, {CLASS_NAMES.get(class_, class_)}"
