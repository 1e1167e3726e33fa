"""hilum card: model card and reporting checklists, filled from a finished run."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.types import NOTICE


@app.command()
def card(
    run: Annotated[Path, typer.Argument(help="The --out folder of a finished run.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the cards.")],
    licence: Annotated[
        str,
        typer.Option("--licence", help="The model's licence, as the Hugging Face hub names it."),
    ] = "",
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write the model card, CLAIM 2024, TRIPOD+AI and the CHAI card, filled from a run."""
    from hilum.report.cards import write_cards

    screen = terminal(as_json, verbose, quiet)
    cards = write_cards(run, out, licence)
    rows = [
        (card.name, f"{card.answered} of {card.items}", str(card.in_part), str(len(card.open)))
        for card in cards
    ]
    screen.table("Filled from the run", ("card", "answered", "in part", "left to a person"), rows)
    if verbose:
        for written in cards:
            screen.say(f"{written.name}, left to a person: {', '.join(written.open)}")
    for written in cards:
        screen.point(written.name, written.path.resolve())
    screen.say(NOTICE, "dim")
    screen.give(
        {
            "cards": [{**asdict(card), "path": str(card.path.resolve())} for card in cards],
            "notice": NOTICE,
        }
    )
