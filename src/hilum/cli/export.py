"""export: a finished model as ONNX or OpenVINO, with the proof that it answers alike."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.machine_options import with_machine_options
from hilum.types import NOTICE

Folder = Annotated[Path, typer.Argument(help="A finished run's folder, or its model/ folder.")]


@app.command()
@with_machine_options
def export(
    model: Folder,
    out: Annotated[Path, typer.Option("--out", help="Folder for the exported model.")],
    format_: Annotated[
        str, typer.Option("--format", help="onnx, or openvino (model.xml and model.bin).")
    ] = "onnx",
    precision: Annotated[
        str, typer.Option("--precision", help="fp32, bf16 or int8 (which needs --proof).")
    ] = "fp32",
    proof: Annotated[
        Path | None,
        typer.Option("--proof", help="Images to prove it on, 200 or more; else the phantom's."),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write a model as one graph, proven to answer as the model does; refused where it does not."""
    from hilum.exporting.export import ExportRequest
    from hilum.exporting.export import export as run

    screen = terminal(as_json, verbose, quiet)
    with screen.working():
        result = run(model, out, ExportRequest(format_, precision, proof), screen.step)
    screen.table(
        f"Proof on {result.proof['source']}",
        ("engine", "version", "largest change of p", "AUROC falls by", "flips"),
        [_row(engine) for engine in result.engines],
    )
    for note in result.record["notes"]:
        screen.say(note, "yellow")
    screen.say(result.record["verdict"])
    screen.point("Exported model", result.graph.resolve())
    screen.say(NOTICE, "dim")
    screen.give({"folder": str(result.folder), "proof": result.proof, **result.record})


def _row(engine: dict[str, Any]) -> tuple[str, ...]:
    fall = engine["auroc_fall"]
    flips = ", ".join(f"{engine[kind]} {kind}" for kind in ("decisions", "refusals", "abstentions"))
    return (
        engine["engine"],
        engine["version"],
        f"{engine['largest_change']:.1e}",
        "no labels" if fall is None else f"{fall:.4f}",
        flips,
    )
