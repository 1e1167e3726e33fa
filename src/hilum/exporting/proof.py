"""The proof of an export: every engine's answers next to hilum's own, and what may differ.

A flip is an image whose answer changes: its class (decision), whether it is refused, or whether
more than one class stays possible (abstention).
"""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hilum.exporting import engines
from hilum.exporting.engines import Rows
from hilum.exporting.proof_images import ProofImages
from hilum.exporting.record import gate_limits
from hilum.inference import conformal, exported, ood, temperature
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.inference.ood import Gate
from hilum.metrics import metrics
from hilum.types import Floats, HilumError, Labels, Probabilities, told_apart

FILE = "proof.json"
KINDS = ("decisions", "refusals", "abstentions")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a precision may change at most."""

    change: float | None  # of a probability; None: any
    auroc: float | None  # fall of macro AUROC; None: not asked
    decisions: float  # share of the images whose class may be another
    others: float  # the same for refusals, and for abstentions: films lie dense at their limits


LIMITS = {
    "fp32": Limits(1e-4, None, 0.0, 0.0),
    "bf16": Limits(None, 0.002, 0.01, 0.05),
    "int8": Limits(None, 0.002, 0.01, 0.05),
}
INSTEAD = {
    "fp32": "nothing was written; please report this as a fault of hilum",
    "bf16": "nothing was written; choose --precision fp32",
    "int8": "nothing was written; choose --precision bf16 or fp32",
}


class RefusedExportError(HilumError):
    """An export that answers otherwise than the model; exit 1."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class EngineAnswers:
    """What one engine says of the proof's images."""

    p: Probabilities  # (image, class)
    refused: list[str]  # (image,) why, or ""
    undecided: list[bool]  # (image,) whether more than one class stays possible

    def part(self, positions: Sequence[int]) -> "EngineAnswers":
        """Those of some images, in this order."""
        return EngineAnswers(
            self.p[list(positions)],
            [self.refused[i] for i in positions],
            [self.undecided[i] for i in positions],
        )


@dataclass(frozen=True, slots=True)
class EngineProof:
    """One engine next to hilum's own answers, ready for JSON."""

    engine: str
    version: str
    largest_change: float  # of a probability
    auroc: float | None  # macro; None where the labels allow none
    auroc_fall: float | None
    decisions: int  # flips of each kind
    refusals: int
    abstentions: int

    def flips(self) -> dict[str, int]:
        """Kind -> images that flip."""
        return {kind: getattr(self, kind) for kind in KINDS}


def own_answers(model: TrainedModel, shown: ProofImages) -> EngineAnswers:
    """What hilum itself answers in full precision, by its own head and gate."""
    plain, mirror = model.features(shown.stack)
    p = model.calibrated(model.from_features(plain, mirror))
    return _answers(model.facts, p, (model.gate, plain), shown)


def engine_answers(model: TrainedModel, shown: ProofImages, rows: Rows) -> EngineAnswers:
    """What a graph answers, its rows read as hilum reads an exported folder's."""
    classes = len(model.facts.classes)
    limits = {} if model.gate is None else gate_limits(model.gate)
    gate = exported.gate_of(limits, classes)
    graph_rows = rows(shown.stack)
    logits = exported.reader(classes, gate is not None).logits(graph_rows)
    p = np.round(temperature.softmax(logits), 8)
    facts = replace(model.facts, conformal=exported.lowered(model.facts.conformal))
    return _answers(facts, p, (gate, graph_rows), shown)


def closest(answers: EngineAnswers, most: int) -> list[int]:
    """At most `most` positions of images, those first whose two best classes lie closest."""
    best = np.sort(answers.p, 1)
    return list(map(int, np.argsort(best[:, -1] - best[:, -2], kind="stable")[:most]))


def compare(
    want: EngineAnswers, answers: Mapping[str, EngineAnswers], labels: Labels
) -> list[EngineProof]:
    """Each engine's row of the proof: its `answers` next to hilum's own."""
    releases = engines.versions(list(answers))
    return [_row((name, releases[name]), want, got, labels) for name, got in answers.items()]


def _row(
    engine: tuple[str, str], want: EngineAnswers, got: EngineAnswers, labels: Labels
) -> EngineProof:
    before, after = macro_auroc(labels, want.p), macro_auroc(labels, got.p)
    fall = None if before is None or after is None else before - after
    return EngineProof(
        *engine,
        float(np.abs(want.p - got.p).max()),
        after,
        fall,
        int((want.p.argmax(1) != got.p.argmax(1)).sum()),
        sum(bool(a) != bool(b) for a, b in zip(want.refused, got.refused, strict=True)),
        sum(a != b for a, b in zip(want.undecided, got.undecided, strict=True)),
    )


def faults(rows: list[EngineProof], precision: str, images: int) -> list[str]:
    """By how much which engine goes beyond the limits of `precision`, in words."""
    allowed, problems = LIMITS[precision], []
    for row in rows:
        most_change = 1.0 if allowed.change is None else allowed.change
        if not row.largest_change <= most_change:  # nan is none of both
            change, limit = told_apart(row.largest_change, most_change, 2, "g")
            problems.append(
                f"a probability changes by {change} under {row.engine} (at most {limit})"
            )
        fall = row.auroc_fall or 0.0
        if allowed.auroc is not None and fall > allowed.auroc:
            problems.append(
                f"AUROC falls by {told_apart(fall, allowed.auroc, 4)[0]} under {row.engine} "
                f"(at most {allowed.auroc})"
            )
        for kind, flips in row.flips().items():
            most = int((allowed.decisions if kind == KINDS[0] else allowed.others) * images)
            if flips > most:
                problems.append(
                    f"{flips} of {images} {kind} flip under {row.engine} (at most {most})"
                )
    return problems


def refused(problems: list[str], precision: str, form: Mapping[str, Any]) -> RefusedExportError:
    """What to raise where there are faults; `form`: what a record says of the last form tried."""
    layers = (
        f"with {form['layers_in_fp32']} of {form['layers']} layers kept in fp32, "
        if "layers_in_fp32" in form
        else ""
    )
    return RefusedExportError(
        f"an export in {precision} must answer as its model does; got other answers: {layers}"
        f"{'; '.join(problems)}; {INSTEAD[precision]}."
    )


def record(
    rows: list[EngineProof], precision: str, shown: ProofImages, more: Mapping[str, Any]
) -> dict[str, Any]:
    """What `proof.json` holds."""
    return {
        "precision": precision,
        "images": len(shown.films),
        "source": shown.source,
        "labelled": int((shown.labels >= 0).sum()),
        "limits": asdict(LIMITS[precision]),
        "reference": "hilum's own answers in fp32: its compiled network, its head in float64",
        "engines": [asdict(row) for row in rows],
        "processor": processor(),
        **more,
    }


def macro_auroc(labels: Labels, p: Probabilities) -> float | None:
    """Mean over the classes that have images and others next to them; None where there is none."""
    labelled = labels >= 0
    present = np.unique(labels[labelled])
    if len(present) < 2:
        return None
    areas = [metrics.auroc(labels[labelled] == i, p[labelled, i]) for i in present]
    return float(np.mean(areas))


def processor() -> str:
    """The processor's name."""
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _answers(
    facts: ModelMetadata, p: Probabilities, seen: tuple[Gate | None, Floats], shown: ProofImages
) -> EngineAnswers:
    refused = ood.rejection_reasons(*seen, [film.check for film in shown.films])
    undecided = [False] * len(p)
    if facts.conformal:
        kept = conformal.prediction_sets(p, facts.classes, facts.conformal)
        undecided = [bool(row.sum() > 1) for row in kept]
    return EngineAnswers(p, refused, undecided)
