"""predict and evaluate: a finished model on new images."""

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.ending import show
from hilum.types import NOTICE

Folder = Annotated[Path, typer.Argument(help="The model/ folder of a finished run.")]
SHOWN = 20  # predictions that are shown; the file has them all


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
    read = table[~table["abstain"]]
    rows = [
        (row[0], row[1], *(f"{p:.3f}" for p in row[2:-2])) for row in read.head(SHOWN).to_numpy()
    ]
    screen.table("Predictions", list(table.columns[:-2]), rows)
    screen.left_out(left_out)
    more = f" (the first {SHOWN} are shown)" if len(read) > SHOWN else ""
    screen.say(f"{len(read):,} images are predicted{more}, {len(left_out):,} are left out.")
    screen.point("Predictions", out.resolve())
    screen.say(NOTICE, "dim")
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
