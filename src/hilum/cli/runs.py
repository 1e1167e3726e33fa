"""demo, run, train: from images to a report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.terminal import MARKS, Terminal
from hilum.types import NOTICE, HilumError, Results

Out = Annotated[
    Path, typer.Option("--out", help="Folder for the report, the model and all tables.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", envvar="HILUM_DATA", help="Folder of datasets as published."),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Change one recipe key: a.b=c. May be repeated.")
]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="Repeat with N seeds.")]
Mode = Annotated[
    str | None, typer.Option("--mode", help="published (as the paper did) or corrected.")
]
Quick = Annotated[bool, typer.Option("--quick", help="The smaller grid.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run in --out.")]


@app.command()
def demo(
    out: Out = Path("hilum-demo"),
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """The whole pipeline on embedded synthetic films and an embedded ImageNet backbone."""
    from hilum import recipe

    _run(recipe.load("demo"), None, out, terminal(as_json, verbose, quiet))


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A TOML file, or a name from `hilum recipes`.")],
    data: Data = None,
    out: Out = Path("hilum-run"),
    mode: Mode = None,
    changes: Set = None,
    quick: Quick = False,
    seeds: Seeds = None,
    resume: Resume = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Run a study from its recipe; published and measured numbers side by side."""
    from hilum import recipe as recipes

    if mode not in (None, "published", "corrected"):
        raise HilumError(f"--mode wants published or corrected; got {mode!r}; choose one.")
    wanted = [*(changes or ()), *([f"seeds={list(range(seeds))}"] if seeds else [])]
    loaded = recipes.load(recipe, mode, quick, wanted)  # type: ignore[arg-type]
    _run(loaded, data, out, terminal(as_json, verbose, quiet), resume)


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="Class folders, a CSV table, or a DICOM tree.")],
    out: Out = Path("hilum-train"),
    changes: Set = None,
    seeds: Seeds = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train on your own images with sensible defaults; the same report as a study's."""
    import json

    from hilum import recipe

    own = f"data=[{{path={json.dumps(str(folder.expanduser().resolve()))}}}]"
    wanted = [own, *(changes or ()), *([f"seeds={list(range(seeds))}"] if seeds else [])]
    _run(recipe.load("default", changes=wanted), None, out, terminal(as_json, verbose, quiet))


def _run(recipe: Any, data: Path | None, out: Path, screen: Terminal, resume: bool = False) -> None:
    from hilum import study

    with screen.working():
        results = study.run(recipe, data, out, screen.step, resume)
    show(results, out, screen)


def show(results: Results, out: Path, screen: Terminal) -> None:
    """The end of every run: scores, audits, verdict, where the report lies."""
    overall = {"overall", "macro"}
    rows = [
        (s.cell, s.name, s.class_, f"{s.value:.3f}", _interval(s.low, s.high), _counts(s.k, s.n))
        for s in results.scores
        if s.class_ in overall
    ]
    screen.table("Scores on test images", ("cell", "score", "of", "value", "95 %", "k/n"), rows)
    audits = [(f.id, MARKS[f.status], f.title, f.sentence) for f in results.audits]
    screen.table("Audits", ("id", "outcome", "question", "what it says"), audits)
    screen.say(f"\n[bold]{results.verdict}[/]\n")
    screen.say(f"Report: {out.resolve() / 'report.html'}")
    screen.say(f"[dim]{NOTICE}[/]")
    screen.give(results.as_json())


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f}-{high:.3f}"


def _counts(k: int | None, n: int | None) -> str:
    return "" if k is None else f"{k}/{n}"
