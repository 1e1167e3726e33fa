"""Whole jobs as functions: what the commands of the same names do, with the same files in `out`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hilum import recipes
from hilum.api.model import Model
from hilum.api.own_images import OwnImages, TableColumns
from hilum.progress import Progress, StepName, silent
from hilum.recipes import Recipe
from hilum.types import Manifest, Results, as_path


def run(
    recipe: str | Path | Recipe,
    data: str | Path | None = None,
    out: str | Path = "hilum-run",
    *,
    mode: Literal["published", "corrected"] | None = None,
    quick: bool = False,
    changes: Sequence[str] = (),
    resume: bool = False,
    workers: int = 1,
    ray: str = "",
    progress: Progress | None = None,
) -> Results:
    """Run a study from its recipe (a name, a TOML file, or one loaded) and write its report.

    `data` is the folder of the public datasets; `changes` are `key=value` as for `--set`; `workers`
    processes, or actors of the Ray at an address, train folds at a time, with the same results.
    Raises HilumError for what cannot be run, MissingError for data or weights that are not here.

    >>> import hilum
    >>> films = "data=[{phantom={images=40, size=96}}]"
    >>> two = 'classes=["covid19", "normal"]'
    >>> hilum.run("demo", out="small", changes=[films, two, "augment.views=0"]).verdict
    'Too few test images to say: ...'
    """
    from hilum.experiment.tasks import run_into

    loaded = recipe
    if not isinstance(loaded, Recipe):
        loaded = recipes.load_recipe(str(loaded), mode, quick, changes)
    root = None if data is None else as_path(data)
    return run_into(loaded, root, as_path(out), progress or silent, resume, workers, ray)


def train(
    data: str | Path,
    out: str | Path = "hilum-train",
    *,
    columns: TableColumns | None = None,
    labels: str | Path | None = None,
    source_tag: str | None = None,
    changes: Sequence[str] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> Results:
    """Train on class folders, a CSV table or a DICOM tree; write the report.

    `columns` names those of a table, `labels` is a CSV that labels a tree, `source_tag` the DICOM
    element that is the source ("none": none is). Raises HilumError for data that cannot be trained
    on, naming what to change.

    >>> import hilum
    >>> hilum.train("films", "trained", changes=["augment.views=0"]).classes
    ['covid19', 'normal']
    """
    own = OwnImages(columns or TableColumns(), labels, source_tag).change(data)
    recipe = recipes.load_recipe("default", changes=[own, *changes])
    return run(recipe, None, out, workers=workers, progress=progress)


def evaluate(
    model: Model | str | Path,
    data: str | Path,
    out: str | Path,
    *,
    columns: TableColumns | None = None,
    labels: str | Path | None = None,
    source_tag: str | None = None,
    resume: bool = False,
    workers: int = 1,
    ray: str = "",
    progress: Progress | None = None,
) -> Results:
    """Test a finished model on labelled images of elsewhere; images it was built on are set aside.

    `columns`, `labels` and `source_tag` as for `train`. `workers` processes, or actors of the Ray
    at an address, decode and compute, with the same results; `resume` goes on after a kill. Raises
    HilumError where no image has one of the model's classes.

    >>> import hilum
    >>> hilum.evaluate("out", "other_hospital", "tested").verdict
    'Too few test images to say: ...'
    """
    from hilum.experiment import evaluate_model, outputs
    from hilum.experiment.spread import spread_of

    own = OwnImages(columns or TableColumns(), labels, source_tag)
    step = progress or silent
    read = own.reader(lambda: step(StepName("read headers", "headers")), workers)
    spread, folder = spread_of(workers, resume, ray), as_path(out)
    with outputs.removing_empty_on_failure(folder):
        return evaluate_model(_folder(model), as_path(data), folder, step, read=read, spread=spread)


def adapt(
    model: Model | str | Path,
    data: str | Path,
    out: str | Path,
    *,
    columns: TableColumns | None = None,
    labels: str | Path | None = None,
    source_tag: str | None = None,
    progress: Progress | None = None,
) -> Model:
    """The model adapted to labelled films of another hospital; figures are in `out/adapted.json`.

    `columns`, `labels` and `source_tag` as for `train`. Raises HilumError for too few films, or
    where `out` holds a model already.

    >>> from hilum.api.jobs import adapt
    >>> adapt("out", "other_hospital", "adapted").verdict
    'Verdict on this model (hilum adapt, ...): Adapted to 24 films of ...'
    """
    from hilum.experiment import outputs
    from hilum.experiment.adapt import adapt_model

    own = OwnImages(columns or TableColumns(), labels, source_tag)
    step = progress or silent
    read = own.reader(lambda: step(StepName("read headers", "headers")))

    with outputs.removing_empty_on_failure(as_path(out)):
        return Model(adapt_model(_folder(model), as_path(data), as_path(out), step, read).folder)


def audit(
    run_or_model: Model | str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Results:
    """Every audit of a finished run, or of a model on labelled images (`data`).

    `workers` processes share the audits out; the findings are the same. Raises MissingError for a
    folder that is neither a run's nor a model's.

    >>> import hilum
    >>> sorted(finding.id for finding in hilum.audit("out", "asked").audits)[:2]
    ['C-02', 'C-03']
    """
    from hilum.experiment import audit as audits
    from hilum.experiment import outputs

    where = None if data is None else as_path(data)
    with outputs.removing_empty_on_failure(as_path(out)):
        folder, step = _folder(run_or_model), progress or silent
        return audits.run_audit(folder, where, as_path(out), step, workers)


def export(
    model: Model | str | Path,
    out: str | Path,
    *,
    format: Literal["onnx", "openvino", "huggingface", "monai"] = "onnx",  # noqa: A002 - as the command calls it
    precision: Literal["fp32", "bf16", "int8"] = "fp32",
    proof: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a model as one graph of ONNX or OpenVINO that is proven to answer alike; its folder.

    Or as a folder that Hugging Face's or MONAI's tools load, checked on phantom films.

    `proof` is a folder of 200 images or more, else the phantom's are taken. Raises HilumError for
    what cannot be exported, and where the proof fails: `out` then stays as it was.

    >>> import hilum
    >>> folder = hilum.export("out", "exported")
    >>> sorted(path.name for path in folder.iterdir())[:3]
    ['model.json', 'model.onnx', 'preparation.json']
    >>> hilum.load_model(folder).classes
    ['covid19', 'normal']
    """
    from hilum.exporting import packages
    from hilum.exporting.export import ExportRequest
    from hilum.exporting.export import export as run

    if format in packages.FOLDERS:
        from hilum.interop import folders

        folders.export_folder(format, _folder(model), as_path(out), precision, proof)
        return as_path(out)
    shown = None if proof is None else as_path(proof)
    request = ExportRequest(format, precision, shown)
    return run(_folder(model), as_path(out), request, progress or silent).folder


def open_data(
    data: str | Path,
    *,
    columns: TableColumns | None = None,
    labels: str | Path | None = None,
    source_tag: str | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """The images of class folders, a CSV table, a DICOM tree or a published dataset: a row each.

    `columns`, `labels` and `source_tag` as for `train`. Raises HilumError for what is none.

    >>> import hilum
    >>> sorted(hilum.open_data("films").table["label"].unique())
    ['covid19', 'normal']
    """
    own = OwnImages(columns or TableColumns(), labels, source_tag)
    return own.open(data, (progress or silent)(StepName("read headers", "headers")))


def _folder(model: Model | str | Path) -> Path:
    return model.folder if isinstance(model, Model) else as_path(model)
