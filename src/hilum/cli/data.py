"""hilum data: what datasets there are, and fetching them."""

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.progress import StepName

data = typer.Typer(help="Know your images before you train on them.", no_args_is_help=True)
app.add_typer(data, name="data")


@data.command("list")
def list_(as_json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """The public datasets that hilum knows how to read."""
    from hilum.datasets.registry import DATASETS

    screen = terminal(as_json, verbose, quiet)
    cards = [row.card for row in DATASETS.values()]
    rows = [
        (
            c.name,
            c.title,
            c.modality,
            "known" if c.patient_ids else "unknown",
            "fetch" if c.download else "by hand",
        )
        for c in cards
    ]
    screen.table("Datasets", ("name", "what", "modality", "patients", "to get it"), rows)
    if verbose:
        access = [(c.name, c.licence, c.access) for c in cards]
        screen.table("Licence and access", ("name", "licence", "access"), access)
    else:
        screen.say("-v adds licences and where to get each.", "dim")
    screen.give(cards)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name from `hilum data list`.")],
    to: Annotated[Path | None, typer.Option("--to", help="Folder; default: the cache.")] = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Download a dataset that needs no account; for others, say where to get it."""
    from hilum.datasets import download as fetching

    screen = terminal(as_json, verbose, quiet)
    with screen.working():
        folder = fetching.fetch(name, to, screen.step(StepName(f"fetching {name}", "bytes")))
    screen.point(name, folder)
    screen.give({"name": name, "folder": folder})
