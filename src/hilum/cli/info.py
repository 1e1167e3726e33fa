"""recipes and show: which recipes there are, and what one of them says."""

from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, checked_mode, terminal
from hilum.cli.completion import recipes_like


@app.command()
def recipes(as_json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """List the recipes that come with hilum."""
    from hilum import recipes

    screen = terminal(as_json, verbose, quiet)
    loaded = [recipes.load_recipe(name) for name in recipes.recipe_names()]
    rows = [(r.name, r.paper.study, r.title, r.cost) for r in loaded]
    screen.table("Recipes", ("name", "study", "what", "cost"), rows)
    screen.give([{"name": r.name, "study": r.paper.study, "title": r.title} for r in loaded])


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A TOML file, or a name from `hilum recipes`.", autocompletion=recipes_like
        ),
    ],
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="published: as the paper did. corrected: its errors fixed."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Show the recipe's shorter version.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Print a recipe with all defaults included."""
    from hilum import recipes

    screen = terminal(as_json, verbose, quiet)
    loaded = recipes.load_recipe(name, checked_mode(mode), quick)
    screen.give(recipes.as_tree(loaded))
    if not as_json:
        screen.out.print(recipes.as_toml(loaded), markup=False, highlight=False, soft_wrap=True)
