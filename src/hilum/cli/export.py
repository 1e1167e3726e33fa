"""export: a finished model as a graph with its proof, or as a folder of another library."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.machine_options import with_machine_options
from hilum.cli.terminal import Terminal
from hilum.types import NOTICE

Folder = Annotated[Path, typer.Argument(help="A finished run's folder, or its model/ folder.")]


@app.command()
@with_machine_options
def export(
    model: Folder,
    out: Annotated[Path, typer.Option("--out", help="Folder for the exported model.")],
    format_: Annotated[
        str,
        typer.Option("--format", help="onnx, openvino (model.xml and .bin), huggingface or monai."),
    ] = "onnx",
    precision: Annotated[
        str, typer.Option("--precision", help="fp32, bf16, or int8 (int8 needs --proof).")
    ] = "fp32",
    proof: Annotated[
        Path | None,
        typer.Option(
            "--proof", help="Images for the proof, 200 or more; default: synthetic films."
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write a model for other programs, with a proof that it gives the same answers."""
    from hilum.exporting import packages
    from hilum.exporting.export import ExportRequest
    from hilum.exporting.export import export as run

    screen = terminal(as_json, verbose, quiet)
    if format_ in packages.FOLDERS:
        _folder(model, out, format_, precision, proof, screen)
        return
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


def _folder(
    model: Path, out: Path, format_: str, precision: str, proof: Path | None, screen: Terminal
) -> None:
    """The folder of another library."""
    from hilum.inference.cautions import verdict_line
    from hilum.inference.model_json import find_model_folder, read_metadata
    from hilum.interop import folders

    use = folders.export_folder(format_, model, out, precision, proof)
    verdict = verdict_line(read_metadata(find_model_folder(model)).get("judged", {}))
    screen.say(verdict)
    screen.say(use)
    screen.point("Exported model", out.resolve())
    screen.say(NOTICE, "dim")
    folder = str(out.resolve())
    screen.give({"folder": folder, "format": format_, "verdict": verdict, "notice": NOTICE})


def _row(engine: dict[str, Any]) -> tuple[str, ...]:
    fall = engine["auroc_fall"]
    flips = ", ".join(
        f"{engine[kind]} {kind.removesuffix('s') if engine[kind] == 1 else kind}"
        for kind in ("decisions", "refusals", "abstentions")
    )
    return (
        engine["engine"],
        engine["version"],
        f"{engine['largest_change']:.1e}",
        "no labels" if fall is None else f"{fall:.4f}",
        flips,
    )
