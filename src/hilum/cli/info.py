"""recipes, show, doctor: what there is and whether it works here."""

from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, checked_mode, terminal


@app.command()
def recipes(as_json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """The recipes that come with hilum."""
    from hilum import recipes

    screen = terminal(as_json, verbose, quiet)
    loaded = [recipes.load_recipe(name) for name in recipes.recipe_names()]
    rows = [(r.name, r.paper.study, r.title, r.cost) for r in loaded]
    screen.table("Recipes", ("name", "study", "what", "cost"), rows)
    screen.give([{"name": r.name, "study": r.paper.study, "title": r.title} for r in loaded])


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A recipe's name or file.")],
    mode: Annotated[str | None, typer.Option("--mode", help="published or corrected.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The smaller grid.")] = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Print a recipe with every default spelt out."""
    from hilum import recipes

    screen = terminal(as_json, verbose, quiet)
    loaded = recipes.load_recipe(name, checked_mode(mode), quick)
    screen.give(recipes.as_tree(loaded))
    if not as_json:
        screen.out.print(recipes.as_toml(loaded), markup=False, highlight=False, soft_wrap=True)


@app.command()
def doctor(as_json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Versions, processor, accelerator, cache and weights of this machine."""
    from hilum import experiment
    from hilum.models.runtime import compiling, openvino_check

    screen = terminal(as_json, verbose, quiet)
    engine = "torch"
    if compiling.has_openvino():
        checked = openvino_check.again()
        engine = "openvino" if checked.works else f"torch, since OpenVINO {checked.reason}"
    facts = experiment.describe_environment() | {"engine": engine}
    screen.table("This machine", ("what", "value"), list(facts.items()))
    screen.give(facts)
