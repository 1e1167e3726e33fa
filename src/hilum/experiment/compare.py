"""Two runs' chosen models on the test images that both have."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hilum.inference.model_json import run_of
from hilum.metrics import paired_tests, predictions
from hilum.metrics.paired_tests import Difference
from hilum.report import run_folder, side_by_side
from hilum.report.run_folder import RunFolder
from hilum.types import HilumError, LeftOut, MissingError

TESTS = {"mcnemar mid-p": "McNemar (mid-p) for shares of images", "delong": "DeLong for AUROC"}
EXAMPLES = 3  # names listed with a count of images that are not shared


@dataclass(frozen=True, slots=True)
class Comparison:
    """Paired differences (second minus first), and on how many images they rest."""

    runs: tuple[str, str]
    cells: tuple[str, str]
    classes: list[str]
    images: int
    differences: list[Difference]
    left_out: list[LeftOut]  # images that only one of the runs has tested
    notes: list[str]

    @property
    def sentence(self) -> str:
        """What was compared, in one line."""
        return (
            f"{self.images:,} shared test images; first: {self.runs[0]} (cell {self.cells[0]}), "
            f"second: {self.runs[1]} (cell {self.cells[1]})."
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values; `class_` is written as "class"."""
        tree = asdict(self)
        rows = [{k.rstrip("_"): v for k, v in row.items()} for row in tree["differences"]]
        return {**tree, "differences": rows}


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A finished run and the predictions of its chosen cell."""

    run: RunFolder
    predictions: pd.DataFrame


def compare_runs(first: Path, second: Path, page: Path | None = None) -> Comparison:
    """Compare the chosen cells of two finished runs on the images that both have tested.

    `page`: where to write both side by side as HTML, which does without shared images. Raises
    MissingError for a folder without a finished run, HilumError where the runs have other classes,
    labels or patients, or share no image.
    """
    one, other = _read(run_of(first)), _read(run_of(second))
    _require_same_classes(one, other)
    found = _compare((str(first), str(second)), _match_names(one, other), page is not None)
    if page is not None:
        pairing = side_by_side.Pairing(found.images, found.differences, found.notes)
        side_by_side.build_side_by_side((one.run, other.run), pairing, page)
    return found


def _compare(
    names: tuple[str, str], runs: tuple[ComparedRun, ComparedRun], unpaired: bool
) -> Comparison:
    """Paired where the runs share test images; where they share none, and may, without tests."""
    shared = _shared(*runs, required=not unpaired)
    tables = [run.predictions[run.predictions["sample_id"].isin(shared)] for run in runs]
    left_out = [item for run in runs for item in _unshared(run, shared)]
    notes = ["Images that only one run has tested do not count."] if left_out else []
    differences: list[Difference] = []
    if shared:
        differences = paired_tests.compare_paired(tables[0], tables[1], runs[0].run.classes)
        assumption = predictions.read_predictions(tables[0], runs[0].run.classes).assumption
        notes += [*_tests(differences), assumption]
    else:
        notes = ["Not checked: paired differences, because no test image is in both runs."]
    return Comparison(
        runs=names,
        cells=(runs[0].run.cell, runs[1].run.cell),
        classes=runs[0].run.classes,
        images=len(shared),
        differences=differences,
        left_out=left_out,
        notes=notes,
    )


def _tests(rows: list[Difference]) -> list[str]:
    """Which tests the p values come from.

    McNemar mid-p: Fagerland et al. 2013, doi:10.1186/1471-2288-13-91; DeLong et al. 1988,
    doi:10.2307/2531595; Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    used = dict.fromkeys(row.method.partition(",")[0] for row in rows)
    names = [TESTS.get(name, name) for name in used]
    return [f"Tests: {', '.join(names)}; p after Holm over {len(rows)} figures."]


def _read(folder: Path) -> ComparedRun:
    paths = folder / "results.json", folder / "predictions.csv"
    for path in paths:
        if not path.is_file():
            raise MissingError(
                "a comparison needs the --out folders of two finished runs; got "
                f"{str(folder)!r} without {path.name}; finish that run, or check the "
                "path."
            )
    try:
        run = run_folder.read_run(folder)
        predictions = run.chosen()
        classes = [name for name in run.classes if isinstance(name, str)]
        if classes != run.classes or not isinstance(run.cell, str):
            raise TypeError("names that are not text")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise HilumError(
            f"{folder} must hold results.json and predictions.csv as hilum wrote them; got damaged "
            f"ones ({error}); run it again."
        ) from error
    if predictions is None or len(run.classes) < 2:
        raise HilumError(
            f"{folder} must hold results.json and predictions.csv as hilum wrote them; got no "
            "classes, or no prediction of the chosen cell; run it again."
        )
    return ComparedRun(run, predictions)


def _require_same_classes(first: ComparedRun, second: ComparedRun) -> None:
    one, other = first.run, second.run
    if set(one.classes) != set(other.classes):
        raise HilumError(
            f"a comparison needs runs with the same classes; got {', '.join(one.classes)} in "
            f"{one.folder} and {', '.join(other.classes)} in {other.folder}; choose others."
        )


def _match_names(first: ComparedRun, second: ComparedRun) -> tuple[ComparedRun, ComparedRun]:
    """Where no image has one name in both, the second run's files take the first's by their bytes.

    A folder and a table of it name the same files apart. The patient is the first run's, or the
    second's where the first knows none; bytes that a run has twice keep their names.
    """
    ids = [run.predictions["sample_id"] for run in (first, second)]
    if set(ids[0]) & set(ids[1]):
        return first, second
    by_bytes = {key: name for name, key in _bytes(first).items()}
    names = {name: by_bytes[key] for name, key in _bytes(second).items() if key in by_bytes}
    other = second.predictions.assign(sample_id=[names.get(name, name) for name in ids[1]])
    tables = [first.predictions, other]
    patients = [t.drop_duplicates("sample_id").set_index("sample_id")["patient_id"] for t in tables]
    patient_of = patients[0].combine_first(patients[1])
    one, other = (t.assign(patient_id=t["sample_id"].map(patient_of)) for t in tables)
    return replace(first, predictions=one), replace(second, predictions=other)


def _bytes(run: ComparedRun) -> dict[str, str]:
    """SHA-256 of each file by the image's name, as far as the run's manifest has it."""
    if run.run.manifest is None or "sha256" not in run.run.manifest:
        return {}
    table = run.run.manifest[["sample_id", "sha256"]]
    table = table[~table["sha256"].duplicated(keep=False)]
    return dict(zip(table["sample_id"], table["sha256"], strict=True))


def _shared(first: ComparedRun, second: ComparedRun, required: bool) -> set[str]:
    ids = [set(run.predictions["sample_id"]) for run in (first, second)]
    if required and not ids[0] & ids[1]:
        raise HilumError(
            f"a comparison needs test images that both runs have; got {len(ids[0]):,} in "
            f"{first.run.folder} and {len(ids[1]):,} in {second.run.folder}, none of them shared; "
            "run both on the same data with the same split, or give --html for both side by side."
        )
    return ids[0] & ids[1]


def _unshared(run: ComparedRun, shared: set[str]) -> list[LeftOut]:
    names = sorted(set(run.predictions["sample_id"]) - shared)
    if not names:
        return []
    dots = ", ..." if len(names) > EXAMPLES else ""
    what = f"{len(names):,} images ({', '.join(names[:EXAMPLES])}{dots})"
    return [LeftOut(what, f"only {run.run.folder} has tested them", len(names), tuple(names))]
