"""predict, explain and evaluate: a finished model on new images."""

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.ending import show
from hilum.types import NOTICE

Folder = Annotated[Path, typer.Argument(help="The model/ folder of a finished run.")]
Images = Annotated[list[Path], typer.Argument(help="Images, or folders searched recursively.")]
SHOWN = 20  # predictions that are shown; the file has them all


@app.command()
def predict(
    model: Folder,
    paths: Images,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write.")] = Path("preds.csv"),
    heatmaps: Annotated[
        Path | None, typer.Option("--heatmaps", help="Folder to write heat maps to as well.")
    ] = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write the probabilities of each class for each image, and what it abstains from, to a CSV."""
    from hilum import study

    screen = terminal(as_json, verbose, quiet)
    with screen.working():
        table, left_out = study.predict(model, paths, out, screen.step, heatmaps)
    read = table[table["label"] != ""]
    rows = [
        (row[0], "abstains" if row[-2] else row[1], *(f"{p:.3f}" for p in row[2:-2]))
        for row in read.head(SHOWN).to_numpy()
    ]
    screen.table("Predictions", list(table.columns[:-2]), rows)
    doubted = read[read["abstain"]]
    why = [(row.path, row.reason) for row in doubted.head(SHOWN).itertuples()]
    screen.table("Abstained", ("path", "why"), why)
    screen.left_out(left_out)
    more = f" (the first {SHOWN} are shown)" if len(read) > SHOWN else ""
    screen.say(
        f"{len(read) - len(doubted):,} images are predicted{more}, {len(doubted):,} are abstained "
        f"from, {len(left_out):,} are left out."
    )
    screen.point("Predictions", out.resolve())
    if heatmaps:
        screen.point("Heat maps", heatmaps.resolve())
    screen.say(NOTICE, "dim")
    screen.give({"predictions": table.to_dict("records"), "left_out": left_out, "notice": NOTICE})


@app.command()
def explain(
    model: Annotated[Path, typer.Argument(help="A finished run's folder, or its model/ folder.")],
    paths: Images,
    out: Annotated[Path, typer.Option("--out", help="Folder for the heat maps.")] = Path("explain"),
    method: Annotated[
        str, typer.Option("--method", help="gradcam, hirescam or occlusion.")
    ] = "gradcam",
    class_: Annotated[
        str | None, typer.Option("--class", help="Explain this class, not the predicted one.")
    ] = None,
    render: Annotated[
        str, typer.Option("--render", help="overlay, mask, or multiply (hides dark lungs).")
    ] = "overlay",
    colours: Annotated[
        str, typer.Option("--colours", help="plasma, viridis, or jet (as some papers have it).")
    ] = "plasma",
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Draw heat maps of what in each image spoke for a class: PNG files, a sheet, and a table."""
    from hilum import study
    from hilum.explain.sheets import Look

    screen = terminal(as_json, verbose, quiet)
    ask = study.Ask(method, class_, Look(render, colours))
    with screen.working():
        table, left_out = study.explain(model, paths, out, ask, screen.step)
    drawn = table[table["file"] != ""]
    rows = [
        (row.path, row.label, row[3], f"{row.probability:.3f}", row.file)
        for row in drawn.head(SHOWN).itertuples()
    ]
    screen.table("Heat maps", ("path", "label", "class", "probability", "file"), rows)
    screen.left_out(left_out)
    more = f" (the first {SHOWN} are shown)" if len(drawn) > SHOWN else ""
    screen.say(f"{len(drawn):,} heat maps are drawn{more}, {len(left_out):,} images left out.")
    screen.say("A heat map shows where the model looked, not whether it is right.")
    screen.point("Heat maps", out.resolve())
    screen.say(NOTICE, "dim")
    records = table.to_dict("records")
    screen.give({"heatmaps": records, "left_out": left_out, "notice": NOTICE})


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
