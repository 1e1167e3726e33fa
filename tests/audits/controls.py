"""Every audit's controls: evidence with a planted fault, of which it must complain, and without.

One table for the tests (one seed, and twenty) and for benchmarks/audit_power.py. A row makes
evidence of a seed and a strength: 0 is the clean control, FULL the fault in all that it concerns,
PARTIAL in nine of ten.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import controls_of_films as films
import controls_of_tables as tables
from controls_of_films import Studio

from hilum.audits import AUDITS, Evidence
from hilum.explain import cam
from hilum.types import Finding, Status

PARTIAL, FULL = 0.9, 1.0
COMPLAINTS: tuple[Status, ...] = ("warn", "fail")


@dataclass(frozen=True, slots=True)
class Control:
    """One audit's fault, how it is planted, and which answers count as a complaint of it."""

    audit: str
    fault: str
    make: Callable[[Studio, float], Evidence]
    complaints: tuple[Status, ...] = COMPLAINTS
    slow: bool = False  # of a network: left to the benchmark

    def ask(self, studio: Studio, share: float) -> Finding:
        """The audit's answer to this seed's evidence."""
        evidence = self.make(studio, share)
        if self.audit != "C-14" or not share:
            return AUDITS[self.audit](evidence)
        with patch.object(cam, "heat", films.edges(share, cam.heat)):
            return AUDITS[self.audit](evidence)


def simulated(make: Callable[..., Evidence], stream: int) -> Callable[[Studio, float], Evidence]:
    """A control of tables: all that it wants is the seed."""
    return lambda studio, share: make(studio.random(stream), share)


def _gate(studio: Studio, share: float) -> Evidence:
    folder = studio.folder / f"gate {share:g}"
    folder.mkdir(parents=True, exist_ok=True)
    return tables.gate_of(studio.random(22), share, folder)


ONLY_FAILS: tuple[Status, ...] = ("fail",)
CONTROLS = (
    Control("C-01", "a reader of corners", films.reader),
    Control("C-01", "a network fitted to marks", films.probe, slow=True),
    Control("C-01", "a network fitted to exposure", films.exposed, slow=True),
    Control("C-02", "a hospital for each class", simulated(tables.sources, 2)),
    Control("C-03", "marks in the frame", simulated(tables.frames, 3)),
    Control("C-03", "a class's exposure", films.exposed, slow=True),
    Control("C-04", "grey levels of a class's hospital", simulated(tables.grey_levels, 4)),
    Control("C-05", "a hospital in the features", simulated(tables.hospital_in_features, 5)),
    Control("C-06", "a reader of corners", films.reader),
    Control("C-06", "a network fitted to marks", films.probe, slow=True),
    Control("C-07", "a reader of corners", films.reader),
    Control("C-07", "a network fitted to marks", films.probe, slow=True),
    Control("C-08", "a reader of corners", films.reader),
    Control("C-09", "children and adults", simulated(tables.ages, 9)),
    Control("C-10", "people divided image by image", simulated(tables.patients_apart, 10)),
    Control("C-10", "nameless slices", simulated(tables.look_alikes, 12), ONLY_FAILS),
    Control("C-11", "copies of training films", films.twins),
    Control("C-12", "nameless slices", simulated(tables.look_alikes, 12)),
    Control("C-13", "heat on marks", films.heat_on_marks),
    Control("C-13", "a network fitted to marks", films.probe, slow=True),
    # exposure is everywhere, and so is the heat: C-13 cannot see it
    Control("C-13", "a network fitted to exposure", films.exposed, slow=True),
    Control("C-14", "an edge filter for an explanation", films.unmoved),
    Control("C-15", "heat anywhere", films.heat_beside_lesions),
    Control("C-16", "heat where nothing matters", films.heat_away),
    Control("C-17", "overconfidence", simulated(tables.sharpened, 17)),
    Control("C-18", "validation seen in training", simulated(tables.fitted_on_validation, 18)),
    Control("C-19", "sick women missed", simulated(tables.worse_for_women, 19)),
    Control("C-20", "answers of chance", simulated(tables.ignorant, 20)),
    Control("C-21", "validation seen in training", simulated(tables.fitted_on_validation, 18)),
    Control("C-22", "a blind gate", _gate),
    Control("C-23", "disease upside down elsewhere", simulated(tables.upside_down_elsewhere, 23)),
    Control("C-24", "seeds that learn less", simulated(tables.lucky_seeds, 24)),
    Control("C-25", "a reader of fine texture", films.fine_texture),
    Control("C-26", "probabilities too low", simulated(tables.under_called, 26)),
    Control("C-27", "an F1 that cannot be", simulated(tables.printed, 27)),
)


COLUMNS = ["control", "audit", "seed", "strength", "complained", "status", "value"]


def asked(
    controls: Sequence[Control],
    seeds: int,
    images: int = 48,
    audits: Sequence[str] = (),
    *,
    slow: bool = False,
) -> Iterator[tuple[object, ...]]:
    """Answers (COLUMNS) of the quick controls, or the slow ones; of `audits`, where named."""
    wanted = [
        (number, control)
        for number, control in enumerate(controls)
        if control.slow == slow and (not audits or control.audit in audits)
    ]
    for seed in range(seeds):
        with TemporaryDirectory() as folder:
            studio = Studio(seed, Path(folder), images)
            for number, control in wanted:
                for share in (0.0, PARTIAL, FULL):
                    found = control.ask(studio, share)
                    told = found.status in control.complaints
                    yield number, control.audit, seed, share, told, found.status, found.value
