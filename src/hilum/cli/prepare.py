"""hilum prepare: a folder's images as a network would see them."""

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.shard_options import Ray, Resume, Workers


@app.command()
def prepare(
    folder: Annotated[Path, typer.Argument(help="Folder of images, searched recursively.")],
    steps: Annotated[
        str,
        typer.Option(
            "--steps", help="Names of steps, separated by commas; name:key=value sets a parameter."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for images/, masks/ and a contact sheet.")
    ],
    side: Annotated[
        int | None,
        typer.Option("--side", min=1, help="Side in pixels, for the steps that have one."),
    ] = None,
    workers: Workers = 1,
    resume: Resume = False,
    ray: Ray = "",
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Apply preparation steps to images: PNG files, and a sheet of before and after."""
    from hilum.experiment import outputs, prepare
    from hilum.experiment.spread import spread_of

    screen = terminal(as_json, verbose, quiet)
    chosen = prepare.steps_named(steps.split(","), side)
    spread = spread_of(workers, resume, ray)
    with screen.working(), outputs.removing_empty_on_failure(out):
        prepared = prepare.prepare_folder(folder, chosen, out, screen.step, spread)
    screen.left_out(prepared.left_out)
    screen.gap()
    screen.say(
        f"{prepared.written:,} images are prepared, {len(prepared.left_out):,} things left out.",
        "bold",
    )
    if prepared.faulty:
        screen.say(f"{len(prepared.faulty):,} lung masks do not pass their check; see lungs.csv.")
    screen.point("Images", prepared.folder)
    if prepared.masks is not None:
        screen.point("Lung masks", prepared.masks)
    screen.point("Before and after", prepared.sheet)
    screen.give(prepared)
