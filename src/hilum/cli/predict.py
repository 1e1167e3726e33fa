"""predict, explain and evaluate: a finished model on new images."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum import files
from hilum.api.own_images import OwnImages
from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.dry_run import DryRun, show_model
from hilum.cli.machine_options import with_machine_options
from hilum.cli.own_image_options import with_own_image_options
from hilum.cli.pseudonyms import Key, read_key, write_with_codes
from hilum.cli.results import beforehand, show
from hilum.cli.shard_options import Ray, Resume, Workers
from hilum.cli.terminal import Terminal
from hilum.files import refusals
from hilum.progress import StepName
from hilum.types import NOTICE, HilumError

if TYPE_CHECKING:
    import pandas as pd

    from hilum.experiment.predict import AnsweredFiles
    from hilum.inference.cautions import Cautions
    from hilum.inference.new_source import NewSource

Folder = Annotated[Path, typer.Argument(help="A finished run's folder, or its model/ folder.")]
Images = Annotated[list[Path], typer.Argument(help="Images, or folders searched recursively.")]
SHOWN = 20  # predictions that are shown; the file has them all
FLAGS = 4  # columns after the probabilities: abstain, reason, seen, new_source


@app.command()
@with_machine_options
def predict(
    model: Folder,
    paths: Images,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write.")] = Path("preds.csv"),
    heatmaps: Annotated[
        Path | None, typer.Option("--heatmaps", help="Also draw heat maps, into this folder.")
    ] = None,
    accept_new_source: Annotated[
        bool, typer.Option("--accept-new-source", help="Answer films of a source new to the model.")
    ] = False,
    dicom: Annotated[
        Path | None,
        typer.Option("--dicom", help="Also write results as DICOM objects, into this folder."),
    ] = None,
    workers: Workers = 1,
    resume: Resume = False,
    ray: Ray = "",
    dry_run: DryRun = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Apply a model to images: a CSV with the probability of each class, or why it abstains."""
    from hilum.experiment import predict
    from hilum.experiment.spread import spread_of

    screen = terminal(as_json, verbose, quiet)
    if dry_run:
        from hilum.experiment import forecast_model

        show_model(forecast_model.forecast_predict(model, paths), screen)
        return
    spread = spread_of(workers, resume, ray)
    drawn = files.alone(heatmaps, "--heatmaps", "command") if heatmaps else nullcontext()
    with screen.working(), refusals.naming_path(out), drawn:
        answers = predict.predict_files(
            model, paths, out, screen.step, heatmaps, accept_new_source, dicom, spread
        )
    _show(answers, screen)
    _say_source(answers.source, answers.source.sentence(accept_new_source), screen)
    _say(answers.cautions, screen)
    screen.point("Predictions", out.resolve())
    if heatmaps:
        screen.point("Heat maps", heatmaps.resolve())
    if dicom:
        screen.point("Results as DICOM", dicom.resolve())
    screen.say(NOTICE, "dim")
    rest = {
        "left_out": answers.left_out,
        **answers.cautions.as_json(),
        "new_source": answers.source.as_json(),
        "notice": NOTICE,
    }
    table = answers.table.to_dict("records") if as_json else []
    screen.give({"predictions": table, **rest})
    _require_read(bool(answers.rows.read.any()), out)


def _show(answers: "AnsweredFiles", screen: Terminal) -> None:
    """The first predictions, what is abstained from, what is left out, and how many of each."""
    rows, left_out = answers.rows, answers.left_out
    read, abstained = rows.read.nonzero()[0], rows.abstained.nonzero()[0]
    first = rows.take(read[:SHOWN])
    seen = ["seen"] if any(answers.cautions.counts.values()) else []
    shown = [
        (
            row.path,
            "abstains" if row.abstain else row.label,
            *(f"{p:.3f}" for p in values),
            *([row.seen] if seen else ()),
        )
        for row, values in zip(first.itertuples(), first.iloc[:, 2:-FLAGS].to_numpy(), strict=True)
    ]
    screen.table("Predictions", [*first.columns[:-FLAGS], *seen], shown)
    _abstained(rows.take(abstained[:SHOWN]), screen)
    screen.left_out(left_out)
    screen.say(
        f"Images read: {len(read):,}{_first(len(read))}. Predicted: "
        f"{len(read) - len(abstained):,}. Abstained: {len(abstained):,}{_first(len(abstained))}. "
        f"Left out: {sum(item.count for item in left_out):,}."
    )


def _first(count: int) -> str:
    """That a table shows fewer than it counts."""
    return f" (the first {SHOWN} are shown)" if count > SHOWN else ""


def _abstained(table: "pd.DataFrame", screen: Terminal) -> None:
    """The first images that are abstained from, and why."""
    reasons = [(row.path, row.reason) for row in table.head(SHOWN).itertuples()]
    screen.table("Abstained", ("path", "why"), reasons)


@app.command()
@with_machine_options
def explain(
    model: Folder,
    paths: Images,
    out: Annotated[Path, typer.Option("--out", help="Folder for the heat maps.")] = Path("explain"),
    method: Annotated[
        str, typer.Option("--method", help="gradcam, hirescam or occlusion.")
    ] = "gradcam",
    class_: Annotated[
        str | None, typer.Option("--class", help="Explain this class instead of the predicted one.")
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
    """Draw heat maps of what in each image led to the answer: PNG files, a sheet, and a table."""
    from hilum.experiment import predict
    from hilum.explain.heatmap_sheets import HeatmapStyle
    from hilum.explain.writer import HeatmapRequest

    screen = terminal(as_json, verbose, quiet)
    ask = HeatmapRequest(method, class_, HeatmapStyle(render, colours))
    with screen.working():
        answers = predict.explain_files(model, paths, out, ask, screen.step)
    table, left_out = answers.table, answers.left_out
    drawn = table[table["file"] != ""]
    rows = [
        (
            row.path,
            "abstains" if row.reason else row.label,
            row[3],
            f"{row.probability:.3f}",
            row.file,
        )
        for row in drawn.head(SHOWN).itertuples()
    ]
    screen.table("Heat maps", ("path", "label", "class", "probability", "file"), rows)
    abstained = drawn[drawn["reason"] != ""]
    _abstained(abstained, screen)
    screen.left_out(left_out)
    screen.say(
        f"Heat maps: {len(drawn):,}{_first(len(drawn))}, {len(abstained):,} of images that the "
        f"model abstains from{_first(len(abstained))}. Left out: {len(left_out):,}."
    )
    screen.say("A heat map shows where the model looked, not whether it is right.")
    _say_source(answers.source, answers.source.finding(), screen)
    _say(answers.cautions, screen)
    screen.point("Heat maps", out.resolve())
    screen.say(NOTICE, "dim")
    records = table.to_dict("records")
    rest = {
        "left_out": left_out,
        **answers.cautions.as_json(),
        "new_source": answers.source.as_json(),
        "notice": NOTICE,
    }
    screen.give({"heatmaps": records, **rest})
    _require_read(bool(len(drawn)), out / "heatmaps.csv")


def _require_read(some: bool, table: Path) -> None:
    """Raise HilumError where not one image could be read, once that is written and shown."""
    if not some:
        raise HilumError(
            f"at least one image must be readable; got none; the reasons are in {table}."
        )


def _say_source(source: "NewSource", sentence: str, screen: Terminal) -> None:
    """Whether the images together are of a source that the model does not know."""
    if sentence:
        screen.say(sentence, "bold red" if source.apart else "yellow")


def _say(caution: "Cautions", screen: Terminal) -> None:
    """What a model's answers must not be read without."""
    if caution.met:
        screen.say(caution.met, "bold red")
    for note in caution.notes:
        screen.say(note, "yellow")
    screen.say(caution.verdict)


@app.command()
@with_machine_options
@with_own_image_options
def evaluate(
    model: Folder,
    data: Annotated[
        Path, typer.Argument(help="A folder per class, a CSV table, a DICOM tree, or a manifest.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the report.")],
    own: OwnImages,
    pseudonyms: Key = None,
    workers: Workers = 1,
    resume: Resume = False,
    ray: Ray = "",
    dry_run: DryRun = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Test a model on other labelled images; its own training images are left out."""
    from hilum import experiment
    from hilum.experiment import forecast_model
    from hilum.experiment.spread import spread_of
    from hilum.inference.cautions import other_models

    screen, codes = terminal(as_json, verbose, quiet), read_key(pseudonyms)
    with screen.working():
        headers = screen.step_later(StepName("read headers", "headers"))
        read = own.reader(lambda: headers, workers)
        if dry_run:
            foreseen = forecast_model.forecast_evaluate(model, data, screen.step, read)
        else:
            spread = spread_of(workers, resume, ray)
            results = experiment.evaluate_model(
                model, data, out, screen.step, read=read, spread=spread
            )
    if dry_run:
        show_model(foreseen, screen)
        return
    beforehand(results, screen)
    for note in other_models(model):
        screen.say(note, "yellow")
    said = write_with_codes(out, codes) if codes else ""
    show(results, out, screen)
    if said:
        screen.say(said)
