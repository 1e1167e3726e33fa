"""hilum audit: every audit of a finished run, or of a model on labelled images."""

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.json_output import plain_json
from hilum.cli.machine_options import with_machine_options
from hilum.cli.results import audits, beforehand
from hilum.cli.shard_options import Workers
from hilum.types import NOTICE, LeftOut

FAILED = 1  # exit code under --strict


@app.command()
@with_machine_options
def audit(
    model: Annotated[Path, typer.Argument(help="A finished run's folder, or a model/ folder.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the findings and the report.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            envvar="HILUM_DATA",
            help="Where the run's images are now. For a model/ folder: labelled images.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 if an audit fails.")
    ] = False,
    workers: Workers = 1,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Run every audit, the slow ones too: does the model read the lungs or the hospital?"""
    from hilum.experiment import audit, outputs

    screen = terminal(as_json, verbose, quiet)
    with screen.working(), outputs.removing_empty_on_failure(out):
        results = audit.run_audit(model, data, out, screen.step, workers)
    beforehand(results, screen)
    audits(results.audits, screen)
    screen.left_out([LeftOut(item["what"], item["reason"]) for item in results.data["left_out"]])
    screen.gap()
    screen.say(results.verdict, "bold")
    screen.gap()
    screen.point("Findings", out.resolve() / "findings.csv")
    screen.point("Report", out.resolve() / "report.html")
    screen.say(NOTICE, "dim")
    screen.give({**plain_json(results.as_json()), "out": str(out.resolve())})
    if strict and any(finding.status == "fail" for finding in results.audits):
        raise typer.Exit(FAILED)
