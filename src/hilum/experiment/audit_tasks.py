"""Audits of a model as tasks: where folds are shared out among processes, they are as well.

A task has the evidence without what lies in files: the model's folder, prepared pixels and features
are opened by the process that carries it out.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hilum import audits, files
from hilum.audits import Evidence, look_alikes
from hilum.experiment import evidence as evidences
from hilum.experiment.context import StoredPixels
from hilum.files.executors import Executor, SerialExecutor
from hilum.inference import exported
from hilum.progress import Progress, StepName
from hilum.types import Finding, Pixels

WRITTEN = ("matrix", "hidden", look_alikes.KEPT)  # of `shared`: what becomes a file of the run
_latest: dict[str, Evidence] = {}  # of this process's last task, by digest


@dataclass(frozen=True, slots=True)
class AuditedModel:
    """Where a model lies, and the pixels in its preparation, in the order of the evidence."""

    folder: Path
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class PortableEvidence:
    """Evidence that a process elsewhere can complete."""

    rest: Evidence  # without model, pixels and features
    model: Path
    pixels: StoredPixels

    def complete(self, progress: Progress) -> Evidence:
        """The same with everything."""
        model = exported.load(self.model)
        return evidences.with_model(self.rest, model, self.pixels.open(), progress)


@dataclass(frozen=True, slots=True)
class AuditTask:
    """Some audits, and the evidence, pickled."""

    evidence: bytes
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """The findings of a task, and what the audits computed that the run writes down."""

    findings: list[Finding]
    shared: dict[str, Any]


def run_audits(
    evidence: Evidence,
    audited: AuditedModel,
    executor: Executor,
    progress: Progress,
    known: Sequence[Finding] = (),
) -> list[Finding]:
    """As `audits.run_audits`, in the processes of `executor` where it has some."""
    step = StepName("audit", "audits")
    if isinstance(executor, SerialExecutor) or evidence.model is None:
        return audits.run_audits(evidence, progress(step), known)
    findings = audits.still_known(known)
    names = audits.to_run(findings, evidence.thorough)
    rest = replace(evidence, model=None, stack=None, features=None)
    portable = PortableEvidence(rest, audited.folder, StoredPixels.of(audited.pixels))
    content = pickle.dumps(portable)
    tasks = [AuditTask(content, group) for group in audits.groups(names)]
    advance, before = progress(step), len(findings)
    advance(0, len(names))
    for outcome in executor.map(carry_out, tasks, progress):
        findings += outcome.findings
        evidence.shared.update(outcome.shared)
        advance(len(findings) - before, len(names))
    return audits.by_severity(findings)


def carry_out(task: AuditTask, progress: Progress) -> AuditOutcome:
    """Run a task's audits; the evidence is completed once by each process."""
    digest = files.stable_digest(task.evidence)
    if digest not in _latest:
        _latest.clear()
        portable: PortableEvidence = pickle.loads(task.evidence)  # noqa: S301 - of `run_audits`
        _latest[digest] = portable.complete(progress)
    evidence = _latest[digest]
    findings = audits.run_group(evidence, task.names)
    shared = {name: evidence.shared[name] for name in WRITTEN if name in evidence.shared}
    return AuditOutcome(findings, shared)
