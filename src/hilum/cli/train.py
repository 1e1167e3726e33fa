"""demo, run, train: from images to a report."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.api.own_images import OwnImages
from hilum.cli.app import Data, Json, Quiet, Verbose, app, checked_mode, terminal
from hilum.cli.completion import recipes_like
from hilum.cli.dry_run import DryRun, show_runs
from hilum.cli.machine_options import with_machine_options
from hilum.cli.own_image_options import with_own_image_options
from hilum.cli.pseudonyms import Key, read_key, write_with_codes
from hilum.cli.results import show
from hilum.cli.shard_options import Ray
from hilum.cli.terminal import Terminal
from hilum.types import MissingError, as_path

if TYPE_CHECKING:
    from hilum.interop.pseudonyms import Pseudonyms
    from hilum.interop.run_log import Destination

Out = Annotated[
    Path, typer.Option("--out", help="Folder for the report, the model and all tables.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one setting, as in split.folds=3. May be repeated."),
]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="File with the pretrained weights of the network.")
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", min=1, help="Train N times, each with other random numbers."),
]
Mode = Annotated[
    str | None,
    typer.Option("--mode", help="published: as the paper did. corrected: its errors fixed."),
]
Quick = Annotated[bool, typer.Option("--quick", help="Run the recipe's shorter version.")]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=1, help="Train N folds at the same time. The results are the same."
    ),
]
Log = Annotated[
    list[str] | None,
    typer.Option("--log", help="mlflow:DIR or tensorboard:DIR: log the run. May be repeated."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run in --out.")]


@app.command()
@with_machine_options
def demo(
    out: Out = Path("hilum-demo"),
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Try everything on synthetic films that come with hilum; no data and no network needed."""
    from hilum import recipes

    _run(recipes.load_recipe("demo"), None, out, terminal(as_json, verbose, quiet), Folds())


@app.command()
@with_machine_options
def run(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A TOML file, or a name from `hilum recipes`.", autocompletion=recipes_like
        ),
    ],
    data: Data = None,
    out: Out = Path("hilum-run"),
    mode: Mode = None,
    changes: Set = None,
    weights: Weights = None,
    quick: Quick = False,
    seeds: Seeds = None,
    resume: Resume = False,
    workers: Workers = 1,
    ray: Ray = "",
    log: Log = None,
    pseudonyms: Key = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Run a study from its recipe, and compare its numbers with the published ones."""
    from hilum import recipes

    wanted = _changes(changes, weights, seeds)
    loaded = recipes.load_recipe(recipe, checked_mode(mode), quick, wanted)
    screen = terminal(as_json, verbose, quiet)
    if dry_run:
        _forecast(loaded, data, screen)
    else:
        _run(loaded, data, out, screen, Folds(resume, workers, ray), After.of(log, pseudonyms))


@app.command()
@with_machine_options
@with_own_image_options
def train(
    folder: Annotated[
        Path, typer.Argument(help="A folder per class, a CSV table, or a DICOM tree.")
    ],
    own: OwnImages,
    out: Out = Path("hilum-train"),
    changes: Set = None,
    weights: Weights = None,
    seeds: Seeds = None,
    workers: Workers = 1,
    ray: Ray = "",
    log: Log = None,
    pseudonyms: Key = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train and test a classifier on your own images, and write the report."""
    from hilum import recipes

    wanted = [own.change(folder), *_changes(changes, weights, seeds)]
    screen = terminal(as_json, verbose, quiet)
    loaded = recipes.load_recipe("default", changes=wanted)
    if dry_run:
        _forecast(loaded, None, screen)
    else:
        folds = Folds(workers=workers, ray=ray)
        _run(loaded, None, out, screen, folds, After.of(log, pseudonyms))


def _changes(changes: list[str] | None, weights: Path | None, seeds: int | None) -> list[str]:
    """What `--set`, `--weights` and `--seeds` change, as `key=value`."""
    wanted = list(changes or ())
    if weights is not None:
        wanted.append(f"model.weights={_toml(str(_existing(weights)))}")
    if seeds is not None:
        wanted.append(f"seeds={list(range(seeds))}")
    return wanted


def _existing(weights: Path) -> Path:
    path = as_path(weights)
    if not path.exists():
        raise MissingError(
            f"--weights must be a file with a backbone's weights; got {str(path)!r}, which does "
            "not exist; put it there or check the path."
        )
    return path


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _forecast(recipe: Any, data: Path | None, screen: Terminal) -> None:
    from hilum.experiment import forecast

    with screen.working():
        forecasts = forecast.forecast_run(recipe, data, screen.step)
    show_runs(forecasts, screen)


@dataclass(frozen=True, slots=True)
class Folds:
    """How the folds of a run are carried out."""

    resume: bool = False
    workers: int = 1
    ray: str = ""


@dataclass(frozen=True, slots=True)
class After:
    """What is written of a finished run besides its own files; read before the work begins."""

    destinations: "tuple[Destination, ...]" = ()
    pseudonyms: "Pseudonyms | None" = None

    @classmethod
    def of(cls, log: list[str] | None, key: Path | None) -> "After":
        """Raises HilumError for a mistake in either: it costs no run."""
        return cls(_destinations(log), read_key(key))

    def write(self, out: Path) -> list[str]:
        """Where everything is, in words."""
        said = [write_with_codes(out, self.pseudonyms)] if self.pseudonyms else []
        if self.destinations:
            from hilum.interop.run_log import log_run

            said += log_run(out, self.destinations)
        return said


def _destinations(log: list[str] | None) -> "tuple[Destination, ...]":
    if not log:
        return ()
    from hilum.interop.run_log import Destination

    return tuple(Destination.of(words) for words in log)


def _run(
    recipe: Any,
    data: Path | None,
    out: Path,
    screen: Terminal,
    folds: Folds,
    after: After | None = None,
) -> None:
    from hilum.experiment.tasks import run_into

    with screen.working():
        results = run_into(recipe, data, out, screen.step, folds.resume, folds.workers, folds.ray)
    said = after.write(out) if after else []
    show(results, out, screen)
    for where in said:
        screen.say(where)
