"""Whole jobs as functions: what the commands of the same names do, with the same files in `out`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from hilum import recipes
from hilum.api.model import Model
from hilum.recipes import Recipe
from hilum.types import Manifest, Results, as_path

Move: TypeAlias = Callable[[int, int], None]  # (done, total)


class Progress(Protocol):
    """What long work reports to: called with a step's name, it gives what moves that step on.

    >>> def progress(step):
    ...     print(step)
    ...     return lambda done, total: None
    >>> progress("decode and prepare")(1, 2)
    decode and prepare
    """

    def __call__(self, step: str, /) -> Move:
        """Open a step."""


def _silent(step: str, /) -> Move:
    return lambda done, total: None


def run(
    recipe: str | Path | Recipe,
    data: str | Path | None = None,
    out: str | Path = "hilum-run",
    *,
    mode: Literal["published", "corrected"] | None = None,
    quick: bool = False,
    changes: Sequence[str] = (),
    resume: bool = False,
    progress: Progress | None = None,
) -> Results:
    """Run a study from its recipe (a name, a TOML file, or one loaded) and write its report.

    `data` is the folder of the public datasets; `changes` are `key=value` as for `--set`. Raises
    HilumError for what cannot be run, MissingError for data or weights that are not here.

    >>> import hilum
    >>> hilum.run("zhang2023")
    Traceback (most recent call last):
    hilum.types.HilumError: recipe must be a TOML file or one of ... did you mean 'zhang2022'?
    """
    from hilum.experiment.tasks import run_into

    loaded = recipe
    if not isinstance(loaded, Recipe):
        loaded = recipes.load(str(loaded), mode, quick, changes)
    root = None if data is None else as_path(data)
    return run_into(loaded, root, as_path(out), progress or _silent, resume)


def train(
    data: str | Path,
    out: str | Path = "hilum-train",
    *,
    labels: str | Path | None = None,
    changes: Sequence[str] = (),
    progress: Progress | None = None,
) -> Results:
    """Train on class folders, a CSV table or a DICOM tree (`labels`: its table); write the report.

    Raises HilumError for data that cannot be trained on, naming what to change.

    >>> import hilum
    >>> hilum.train("nowhere")
    Traceback (most recent call last):
    hilum.types.HilumError: ...nowhere must be a folder of images or a table; got nothing; ...
    """
    keys = {"path": str(as_path(data)), "labels": "" if labels is None else str(as_path(labels))}
    own = recipes.own_data(keys, {})
    return run(recipes.load("default", changes=[own, *changes]), None, out, progress=progress)


def evaluate(
    model: Model | str | Path,
    data: str | Path,
    out: str | Path,
    *,
    progress: Progress | None = None,
) -> Results:
    """Test a finished model on labelled images of elsewhere; images it was built on are set aside.

    Raises HilumError where no image has one of the model's classes.

    >>> import hilum
    >>> hilum.evaluate("out/model", "other_hospital/", "test").verdict  # doctest: +SKIP
    'Read with caution: ...'
    """
    from hilum.experiment import evaluate_model, outputs

    with outputs.removing_empty_on_failure(as_path(out)):
        return evaluate_model(_folder(model), as_path(data), as_path(out), progress or _silent)


def audit(
    run_or_model: Model | str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> Results:
    """Every audit of a finished run, or of a model on labelled images (`data`).

    Raises MissingError for a folder that is neither a run's nor a model's.

    >>> import hilum
    >>> hilum.audit("out", "audited").audits[0].status  # doctest: +SKIP
    'pass'
    """
    from hilum.experiment import audit as audits
    from hilum.experiment import outputs

    where = None if data is None else as_path(data)
    with outputs.removing_empty_on_failure(as_path(out)):
        return audits.run(_folder(run_or_model), where, as_path(out), progress or _silent)


def export(
    model: Model | str | Path,
    out: str | Path,
    *,
    format: Literal["onnx", "openvino"] = "onnx",  # noqa: A002 - as the command calls it
    precision: Literal["fp32", "bf16", "int8"] = "fp32",
    proof: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a model as one graph of ONNX or OpenVINO that is proven to answer alike; its folder.

    `proof` is a folder of 200 images or more, else the phantom's are taken. Raises HilumError for
    what cannot be exported, and where the proof fails: `out` then stays as it was.

    >>> import hilum
    >>> hilum.export("out/model", "exported/")  # doctest: +SKIP
    PosixPath('/home/me/exported')
    """
    from hilum.exporting.export import ExportRequest
    from hilum.exporting.export import export as run

    shown = None if proof is None else as_path(proof)
    request = ExportRequest(format, precision, shown)
    return run(_folder(model), as_path(out), request, progress or _silent).folder


def open_data(data: str | Path, *, progress: Progress | None = None) -> Manifest:
    """The images of class folders, a CSV table, a DICOM tree or a published dataset: a row each.

    Raises HilumError for what is none of these.

    >>> import hilum
    >>> hilum.open_data("films/").table["label"].value_counts()  # doctest: +SKIP
    """
    from hilum import datasets

    return datasets.open_path(as_path(data), progress=(progress or _silent)("read headers"))


def _folder(model: Model | str | Path) -> Path:
    return model.folder if isinstance(model, Model) else as_path(model)
