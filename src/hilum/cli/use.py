"""predict and evaluate: a finished model on new images."""

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.runs import show
from hilum.types import NOTICE

Folder = Annotated[Path, typer.Argument(help="The model/ folder of a finished run.")]


@app.command()
def predict(
    model: Folder,
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders searched recursively.")],
    out: Annotated[Path, typer.Option("--out", help="CSV file to write.")] = Path("preds.csv"),
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write the probabilities of each class for each image to a CSV file."""
    from hilum import study

    screen = terminal(as_json, verbose, quiet)
    with screen.working():
        table, left_out = study.predict(model, paths, out, screen.step)
    rows = [[row[0], row[1], *(f"{p:.3f}" for p in row[2:-2])] for row in table.head(20).to_numpy()]
    screen.table("Predictions", list(table.columns[:-2]), rows)
    more = f" (first 20 of {len(table)} shown)" if len(table) > 20 else ""
    screen.say(f"{len(table)} images predicted{more}, {len(left_out)} left out; written to {out}.")
    for item in left_out[:20]:
        screen.say(f"  left out: {item.what}: {item.reason}")
    screen.say(f"[dim]{NOTICE}[/]")
    screen.give({"predictions": table.to_dict("records"), "left_out": left_out, "notice": NOTICE})


@app.command()
def evaluate(
    model: Folder,
    data: Annotated[Path, typer.Argument(help="Class folders, a table, or a manifest.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the report.")],
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Test a finished model on images it has not seen; warns of those that it has."""
    from hilum import study

    screen = terminal(as_json, verbose, quiet)
    with screen.working():
        results = study.evaluate(model, data, out, screen.step)
    show(results, out, screen)
