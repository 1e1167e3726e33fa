"""hilum check-table: are published figures arithmetically possible?"""

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal

STRICT = 1  # exit code of violations under --strict


@app.command("check-table")
def check_table(
    file: Annotated[Path, typer.Argument(help="CSV with one published figure per row.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 if a figure is impossible.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Check published figures against counts, sizes and each other; rounding is allowed for."""
    from hilum.audits import published_arithmetic

    screen = terminal(as_json, verbose, quiet)
    checked = published_arithmetic.check_table(file)
    rows = [
        (item.study, item.kind, item.sentence, *(() if screen.narrow else (item.where,)))
        for item in checked.violations
    ]
    columns = ("study", "check", "what", *(() if screen.narrow else ("where",)))
    screen.table("Figures that cannot be", columns, rows)
    if verbose:
        screen.left_out(checked.left_out)
    screen.gap()
    screen.say(
        f"{checked.checks:,} checks, {len(rows):,} impossible figures; "
        f"{len(checked.left_out):,} rows hold nothing that can be checked"
        + ("." if verbose or not checked.left_out else " (-v lists them)."),
        "bold",
    )
    screen.give(checked)
    if strict and rows:
        raise typer.Exit(STRICT)
