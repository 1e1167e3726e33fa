"""A finished model on images that its training has not seen: predict, and evaluate."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from hilum import audit, files, images, report
from hilum.audit import Evidence
from hilum.data import manifest as manifests
from hilum.data import pixels, readers
from hilum.data.pixels import Ingested
from hilum.evaluate import model as models
from hilum.evaluate import scores
from hilum.evaluate.model import Model, columns
from hilum.models.engine import cores
from hilum.prepare import Pipeline
from hilum.study import machine, outputs, summary
from hilum.study.bench import Tell
from hilum.train.batches import ahead
from hilum.types import (
    Grey8,
    HilumError,
    Leak,
    LeftOut,
    Manifest,
    MissingError,
    Results,
    Split,
)

CHUNK = 128  # images held in memory at a time
Decoded: TypeAlias = tuple[list[str], list[Grey8 | str]]  # paths, and pixels or what went wrong


def predict(
    folder: Path, paths: Sequence[Path], out: Path, tell: Tell
) -> tuple[pd.DataFrame, list[LeftOut]]:
    """Write `path, label, p_<class>..., abstain, reason`, one row per image, to the CSV `out`.

    An image that cannot be read has a row with its reason and no probabilities. Raises
    MissingError for a path that does not exist, HilumError where there is no image at all.
    """
    models.read_record(folder)
    wanted, left_out = _listed(paths)
    outputs.room(out.parent, out)
    model = models.load(folder)
    move, done, tables = tell("predict"), 0, []
    for names, decoded in _chunks(wanted, model.pipeline):
        tables.append(_rows(model, names, decoded))
        done += len(names)
        move(done, len(wanted))
    table = pd.concat(tables, ignore_index=True)
    with files.atomic_write(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8f")
    unread = [LeftOut(row.path, row.reason) for row in table[table["abstain"]].itertuples()]
    return table, [*left_out, *unread]


def evaluate(folder: Path, data: Path, out: Path, tell: Tell) -> Results:
    """Test a model on labelled images and write the same files and report as a run.

    Images that the model was fitted on are found by their hash and reported. Raises HilumError
    where no image has one of the model's classes.
    """
    started = time.monotonic()
    model = models.load(folder)
    found = _of_classes(readers.open_path(data), model.facts.classes)
    outputs.folder(out)
    taken = pixels.ingest(found, model.pipeline, tell("decode and prepare"))
    table = taken.manifest.table
    predictions = table[["sample_id", "path", "patient_id", "source", "label"]].assign(
        cell="external", fold=0, seed=0
    )
    logits = model.logits(taken.pixels.stack, tell("predict"))
    predictions[columns(model.facts.classes)] = model.calibrated(logits)
    results = _results(model, folder, taken, predictions, started)
    outputs.write_external(out, taken.manifest, _all_test(table), predictions, results)
    report.build(out)
    return results


def _listed(paths: Sequence[Path]) -> tuple[list[Path], list[LeftOut]]:
    """Files as named, folders searched; each image once, in order."""
    found: dict[Path, None] = {}
    left_out: list[LeftOut] = []
    for path in paths:
        if not path.exists():
            raise MissingError(
                f"predict wants images or folders; got {str(path)!r}, which does not exist; "
                "check the path."
            )
        inside, others = images.find(path) if path.is_dir() else ([path], [])
        found |= dict.fromkeys(inside)
        left_out += others
    if not found:
        raise HilumError(
            f"predict wants at least one image; got none in {', '.join(map(str, paths))}; "
            "PNG, JPEG, TIFF and DICOM are read."
        )
    return list(found), left_out


def _chunks(paths: Sequence[Path], pipeline: Pipeline) -> Iterator[Decoded]:
    """Decode the next chunk while the network works on this one."""

    def one(path: Path) -> Grey8 | str:
        try:
            return pipeline(images.read(path, pipeline.decode_side).pixels)
        except HilumError as error:
            return str(error)

    with ThreadPoolExecutor(cores()) as pool:
        parts = (paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK))
        yield from ahead(([str(p) for p in part], list(pool.map(one, part))) for part in parts)


def _rows(model: Model, names: list[str], decoded: list[Grey8 | str]) -> pd.DataFrame:
    classes = model.facts.classes
    table = pd.DataFrame(
        {
            "path": names,
            "label": "",
            **dict.fromkeys(columns(classes), np.nan),
            "abstain": True,
            "reason": [item if isinstance(item, str) else "" for item in decoded],
        }
    )
    good = [i for i, item in enumerate(decoded) if not isinstance(item, str)]
    if good:
        p = model.probabilities(np.stack([decoded[i] for i in good]))
        table.loc[good, columns(classes)] = p
        table.loc[good, "label"] = np.array(classes)[p.argmax(1)]
        table.loc[good, "abstain"] = False
    return table


def _of_classes(found: Manifest, classes: list[str]) -> Manifest:
    known = found.table["label"].isin(classes)
    if not known.any():
        labels = ", ".join(sorted(set(found.table["label"].dropna().astype(str)))) or "no labels"
        raise HilumError(
            f"evaluate wants images of the model's classes ({', '.join(classes)}); got {labels}; "
            "rename the class folders."
        )
    return manifests.select(found, known, "label is not among the model's classes")


def _all_test(table: pd.DataFrame) -> Split:
    split = pd.DataFrame({"sample_id": table["sample_id"], "fold": 0, "part": "test"})
    return Split(split, "official", "image", 0, ("every image is a test image",))


def _results(
    model: Model, folder: Path, taken: Ingested, predictions: pd.DataFrame, started: float
) -> Results:
    classes, table = model.facts.classes, taken.manifest.table
    split, leaks = _all_test(table), _seen(model, table)
    judged = scores.score(predictions, classes, "external")
    evidence = Evidence(
        classes,
        table,
        predictions,
        split,
        leaks,
        taken.facts,
        taken.pixels.stack,
        summary.populations(),
    )
    findings = audit.run(evidence)
    record = models.read_record(folder)
    return Results(
        recipe=str(record["provenance"].get("recipe", "")),
        title="External test of a finished model",
        mode="external",
        classes=classes,
        n=summary.counts(taken.manifest, classes),
        scores=judged,
        published=[],
        audits=findings,
        verdict=audit.verdict(judged, findings),
        environment=machine.provenance(time.monotonic() - started),
        data=summary.data(taken.manifest),
        split=summary.split({0: split}, leaks),
        model={**summary.model(record), "cell": "external"},
        limits=list(taken.manifest.notes),
    )


def _seen(model: Model, table: pd.DataFrame) -> list[Leak]:
    """Test images whose bytes the model was fitted on."""
    again = table["sample_id"][table["sha256"].isin(model.facts.seen)]
    return [
        Leak("same bytes", 0, "an image of the model's training", "train", str(name), "test")
        for name in again
    ]
