"""hilum check-table: are published figures arithmetically possible?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.completion import recipes_like
from hilum.cli.terminal import Terminal
from hilum.types import HilumError, nearest_names

if TYPE_CHECKING:
    from hilum.audits.published_arithmetic import Consistency

STRICT = 1  # exit code of violations under --strict


@app.command("check-table")
def check_table(
    table: Annotated[
        str | None,
        typer.Argument(
            help="CSV with one published figure per row, or a recipe with such figures.",
            autocompletion=recipes_like,
        ),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option("--template", help="Write an empty table to this file, columns explained."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 if a figure is impossible.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Check published figures against counts, sizes and each other, allowing for rounding."""
    screen = terminal(as_json, verbose, quiet)
    if table is None and template is None:
        raise HilumError(
            "check-table needs a CSV or a recipe; got neither; `hilum check-table --template FILE` "
            "writes an empty table to fill in."
        )
    if template is None:
        _check(str(table), strict, screen)
        return
    if table is not None:
        raise HilumError(
            f"check-table either checks a table or writes an empty one; got {table!r} and "
            f"--template {template}; leave one out."
        )
    _write_template(template, screen)


def _write_template(file: Path, screen: Terminal) -> None:
    from hilum.audits import published_table

    published_table.write_template(file)
    screen.table("Columns", ("column", "what belongs there"), [*published_table.EXPLAINED.items()])
    screen.gap()
    screen.point("Empty table", file.resolve())
    screen.point("Next", f"fill in a row per figure, then hilum check-table {file}")
    screen.give({"template": str(file.resolve()), "columns": published_table.EXPLAINED})


def _check(source: str, strict: bool, screen: Terminal) -> None:
    checked, notes = _checked(source)
    rows = [
        (item.study, item.kind, item.sentence, *(() if screen.narrow else (item.where,)))
        for item in checked.violations
    ]
    columns = ("study", "check", "what", *(() if screen.narrow else ("where",)))
    screen.table("Impossible figures", columns, rows)
    if screen.verbosity > 0:
        screen.left_out(checked.left_out)
    screen.gap()
    listed = screen.verbosity > 0 or not checked.left_out
    screen.say(
        f"Checks: {checked.checks:,}. Impossible figures: {len(rows):,}. "
        f"Rows with nothing that can be checked: {len(checked.left_out):,}"
        + ("." if listed else " (-v lists them)."),
        "bold",
    )
    for note in notes:
        screen.say(note)
    screen.give(checked)
    if strict and rows:
        raise typer.Exit(STRICT)


def _checked(source: str) -> "tuple[Consistency, list[str]]":
    """What is wrong with the figures of a table or a recipe, and what could not be checked."""
    from hilum import recipes
    from hilum.audits import published_arithmetic

    path = Path(source).expanduser()
    if path.suffix == ".toml" or (source in recipes.recipe_names() and not path.exists()):
        return _of_recipe(source)
    near = nearest_names(source, recipes.recipe_names())
    if near and not path.exists():
        raise HilumError(
            f"check-table needs a CSV or a recipe; got {source!r}, which is neither; "
            f"did you mean {near[0]!r}?"
        )
    return published_arithmetic.check_table(path), []


def _of_recipe(name: str) -> "tuple[Consistency, list[str]]":
    from hilum import recipes
    from hilum.audits import c27_published_numbers, published_arithmetic, published_table
    from hilum.experiment.published import compare_with_paper

    recipe = recipes.load_recipe(name)
    if not recipe.published:
        known = [one for one in recipes.recipe_names() if recipes.load_recipe(one).published]
        raise HilumError(
            f"check-table needs a recipe with published figures; got {name!r}, which has none; "
            f"use one of {', '.join(known)}, or a CSV."
        )
    figures, sizes = compare_with_paper(recipe.published, [], ""), recipe.paper.tested
    table = c27_published_numbers.as_table(figures, sizes).assign(
        study=recipe.paper.study or recipe.name
    )
    checked = published_arithmetic.check_arithmetic(*published_table.parse_published_table(table))
    unsized = (
        "Not checked: whether each share is a whole number of images. The recipe does not say how "
        "many images of each class were tested (paper.tested)."
    )
    return checked, [] if sizes else [unsized]
