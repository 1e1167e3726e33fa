"""A finished model on unlabelled images: probabilities, and heat maps of the evidence."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hilum import files, images
from hilum.experiment import predict_shards
from hilum.experiment.answer_rows import AnswerRows, answer_table
from hilum.experiment.answering import CHUNK, DRAWN, Answered, answer_chunk, decoded_chunks
from hilum.experiment.collected import collect
from hilum.experiment.spread import ALONE, Spread
from hilum.files import PathList, blas, cells, ours
from hilum.inference import answer, cautions, exported, model_json
from hilum.inference.answer import Prediction
from hilum.inference.cautions import Cautions
from hilum.inference.model import TrainedModel
from hilum.inference.new_source import NewSource
from hilum.types import HilumError, LeftOut, MissingError

if TYPE_CHECKING:  # torch and matplotlib are for heat maps alone, highdicom for results as DICOM
    from hilum.dicom.folder import ResultFolder
    from hilum.explain.writer import HeatmapRequest, HeatmapWriter
    from hilum.progress import Advance, Progress


@dataclass(frozen=True, slots=True)
class AnsweredFiles:
    """A row per image, what was left out, and cautions about the model."""

    rows: AnswerRows
    left_out: list[LeftOut]
    cautions: Cautions
    source: NewSource  # whether the images together are of a source new to the model

    @property
    def table(self) -> pd.DataFrame:
        """All rows."""
        return pd.concat([*self.rows.pieces()], ignore_index=True)


@dataclass(frozen=True, slots=True)
class ExplainedFiles:
    """A table with a row per heat map, what was left out, and cautions about the model."""

    table: pd.DataFrame
    left_out: list[LeftOut]
    cautions: Cautions
    source: NewSource  # whether the images together are of a source new to the model


def predict_files(
    folder: Path,
    paths: Sequence[Path],
    out: Path,
    progress: "Progress",
    heatmaps: Path | None = None,
    accept_new_source: bool = False,
    dicom: Path | None = None,
    spread: Spread = ALONE,
) -> AnsweredFiles:
    """Write `path, label, p_<class>..., abstain, reason, seen, new_source` per image to `out`.

    `folder` is a model's, or that of a finished run. `seen` marks an image that is no test of the
    model: "same file", "near duplicate" (of an image that it was built on) or "same patient".
    `new_source` is "yes" where all images together are unlike every source of training: their
    probabilities are not calibrated, and they are abstained from unless that is accepted.
    An image that cannot be read has a row with its reason and no probabilities; one that is not of
    the kind that the model was trained on, or that it cannot decide, keeps them and says why it is
    abstained from. With `heatmaps`, a folder, `explain`'s files are written there as well, and with
    `dicom`, a folder, each film's results as DICOM. `spread` shares the work out among processes,
    and can go on after a kill: the same bytes. Raises MissingError for a path that does not exist,
    HilumError where there is no image at all.
    """
    saved = model_json.find_model_folder(folder)
    model_json.read_metadata(saved)
    if heatmaps:
        spread.refuse_heatmaps()
    listed, left_out = list_images(paths, "predict")
    files.require_own(out, ours.ANSWERS, "--out")
    files.ensure_writable_folder(out.parent, out)
    blas.take_buffer_of_numpy()
    model = exported.load(saved)
    drawer = _drawer(model, None, _require_apart(heatmaps, listed)) if heatmaps else None
    writer = _result_folder(dicom, saved, model, listed) if dicom else None
    asked = predict_shards.Asked(saved, model, listed, out, spread)
    with (
        predict_shards.answered(asked, progress)
        if spread.in_parts
        else nullcontext(_answered_here(model, listed, drawer, progress("predict")))
    ) as parts:
        answers = collect(model, parts, len(listed))
        source = answer.judge_source(model, answers.patients, [answers.points], answers.recognised)
        rows = AnswerRows(listed, model.facts.classes, answers, source, accept_new_source)
        with files.atomic_write(out) as temporary:
            cells.write_csv_pieces(rows.pieces(), temporary)
        if drawer:
            drawer.close("" if accept_new_source else source.reason)
        if writer:
            left_out += _write_results(writer, rows)
    left_out += _unread(rows.take(np.flatnonzero(~rows.read)))
    said = cautions.collect_cautions(folder, model, answers.recognised)
    return AnsweredFiles(rows, left_out, said, source)


def _answered_here(
    model: TrainedModel, paths: Sequence[Path], drawer: "HeatmapWriter | None", advance: "Advance"
) -> Iterator[Answered]:
    """Answers by this process, one image after another; their maps are drawn on the way."""
    done = 0
    advance(0, len(paths))
    features = drawer.features if drawer else model.features
    with files.single_threaded_products():
        for names, decoded in decoded_chunks(paths, model.pipeline, DRAWN if drawer else CHUNK):
            part = answer_chunk(model, decoded, features)
            drawn = drawer.draw(_rows(model, names, part), decoded) if drawer else iter(names)
            for _ in drawn:
                done += 1
                advance(done, len(paths))
            yield part


def _rows(model: TrainedModel, names: list[str], part: Answered) -> pd.DataFrame:
    classes = model.facts.classes
    return answer_table(names, classes, part.probabilities, part.read, part.reasons)


def explain_files(
    folder: Path, paths: Sequence[Path], out: Path, request: "HeatmapRequest", progress: "Progress"
) -> ExplainedFiles:
    """Write one PNG per image, sheets of all, and `heatmaps.csv` to the folder `out`.

    `folder` is a model's, or that of a finished run. The table has `path, label, class,
    probability, method, render, file, reason`: the predicted class, the class that the map is of,
    that class's probability, and why the image is abstained from or could not be read. Raises as
    `predict` does, and HilumError for a method, class or rendering that does not exist.
    """
    saved = model_json.find_model_folder(folder)
    model_json.read_metadata(saved)
    listed, left_out = list_images(paths, "explain")
    files.ensure_writable_folder(_require_apart(out, listed))
    model = exported.load(saved)
    drawer = _drawer(model, request, out)
    with files.alone(out):
        parts = _answered_here(model, listed, drawer, progress("explain"))
        answers = collect(model, parts, len(listed))
        source = answer.judge_source(model, answers.patients, [answers.points], answers.recognised)
        table = drawer.close(source.reason)
    left_out += _unread(table[table["file"] == ""])
    said = cautions.collect_cautions(folder, model, answers.recognised)
    return ExplainedFiles(table, left_out, said, source)


def _result_folder(
    out: Path, folder: Path, model: TrainedModel, listed: Sequence[Path]
) -> "ResultFolder":
    from hilum.dicom.folder import ResultFolder

    return ResultFolder.of(out, folder, model, listed)


def _write_results(writer: "ResultFolder", rows: AnswerRows) -> list[LeftOut]:
    """Results as DICOM of a table's films; those that get none, and why."""
    reasons = (
        (row["path"], writer.write(Path(row["path"]), _prediction(row, rows.classes)))
        for table in rows.pieces()
        for row in table.to_dict("records")
    )
    return [LeftOut(path, reason) for path, reason in reasons if reason]


def _prediction(row: dict[str, Any], classes: list[str]) -> Prediction:
    """A row of the table as an answer; one that could not be read has no probabilities."""
    known = {name: float(row[f"p_{name}"]) for name in classes} if row["label"] else {}
    return Prediction(
        row["label"], known, bool(row["abstain"]), row["reason"], row["seen"], row["path"],
        new_source=row["new_source"],
    )  # fmt: skip


def _drawer(model: TrainedModel, request: "HeatmapRequest | None", out: Path) -> "HeatmapWriter":
    from hilum.explain import writer

    return writer.HeatmapWriter.of(model, request or writer.HeatmapRequest(), out)


def _require_apart(out: Path, listed: Sequence[Path]) -> Path:
    """The folder itself; HilumError where films lie in it, which heat maps could overwrite."""
    if any(path.resolve().parent == out.resolve() for path in listed):
        raise HilumError(
            f"heat maps need a folder separate from the images; got {str(out)!r}, which "
            "contains some of them; choose another."
        )
    mark = "\0".join(ours.PICTURE).encode()
    for name in (*dict.fromkeys(f"{path.stem}.png" for path in listed), "sheet.png"):
        files.require_own(out / name, mark, "a folder of heat maps")
    files.require_own(out / "heatmaps.csv", ours.MAPS, "a folder of heat maps")
    return out


def _unread(table: pd.DataFrame) -> list[LeftOut]:
    return [LeftOut(row.path, row.reason) for row in table.itertuples()]


def list_images(paths: Sequence[Path], command: str) -> tuple[PathList, list[LeftOut]]:
    """Files as named, folders searched; each image once, in order."""
    found: list[Sequence[Path]] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if not path.exists():
            raise MissingError(
                f"{command} needs images or folders; got {images.printable(path)!r}, "
                "which does not exist; check the path."
            )
        inside, others = images.find_images(path) if path.is_dir() else _list_file(path)
        found.append(inside)
        left_out += others
    if not any(map(len, found)):
        why = f" ({left_out[-1].what}: {left_out[-1].reason})" if left_out else ""
        raise HilumError(
            f"{command} needs at least one image; got none in "
            f"{', '.join(map(images.printable, paths))}{why}; "
            "PNG, JPEG, TIFF and DICOM are read."
        )
    return _without_repeats(found), left_out


def _without_repeats(found: list[Sequence[Path]]) -> PathList:
    """All paths in order, each once; a search by itself has none twice."""
    if len(found) == 1 and isinstance(found[0], PathList):
        return found[0]
    return PathList(dict.fromkeys(path for paths in found for path in paths))


def _list_file(path: Path) -> tuple[list[Path], list[LeftOut]]:
    """A file that was named, where a table can hold its name."""
    if images.is_text(path):
        return [path], []
    return [], [LeftOut(images.printable(path), images.NO_TEXT)]
