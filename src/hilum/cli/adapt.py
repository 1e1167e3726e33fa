"""adapt: a finished model fitted to films of one's own hospital, with what that gains and costs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hilum import files
from hilum.api.own_images import OwnImages
from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.machine_options import with_machine_options
from hilum.cli.own_image_options import with_own_image_options
from hilum.progress import StepName
from hilum.types import NOTICE

Folder = Annotated[Path, typer.Argument(help="A finished run's folder, or its model/ folder.")]


@app.command()
@with_machine_options
@with_own_image_options
def adapt(
    model: Folder,
    data: Annotated[Path, typer.Argument(help="Labelled films: class folders, a table, a tree.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the adapted model and figures.")],
    own: OwnImages,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Adapt a model to 10 to 100 labelled films of your hospital; before and after, out of fold."""
    from hilum.experiment import adapt as adapting
    from hilum.experiment import adapt_report

    screen = terminal(as_json, verbose, quiet)
    with screen.working(), files.alone(out, what="command"):
        headers = screen.step_later(StepName("read headers", "headers"))
        read = own.reader(lambda: headers)

        adapted = adapting.adapt_model(model, data, out, screen.step, read)
    record = adapted.record
    screen.table("Out of fold, by patient", ("figure", "before", "after"), _rows(record))
    old = record["old_sources"]
    for name, scores in old.items() if "not_checked" not in old else ():
        screen.table(f"Cost on {name}", ("figure", "before", "after"), _rows(scores))
    for note in ([old["not_checked"]] if "not_checked" in old else []) + record["notes"]:
        screen.say(note, "yellow")
    screen.say(adapt_report.sentence(record))
    screen.point("Adapted model", adapted.folder.resolve())
    screen.say(NOTICE, "dim")
    screen.give({"folder": str(adapted.folder), **record, "notice": NOTICE})


def _rows(scores: dict[str, Any]) -> list[tuple[str, ...]]:
    from hilum.experiment import adapt_report

    return [
        (what, *(adapt_report.shown(scores[when][key]) for when in ("before", "after")))
        for key, what in adapt_report.ROWS.items()
    ]
