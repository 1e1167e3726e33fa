"""What all cells of a run stand on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hilum import prepare
from hilum.data.pixels import Ingested
from hilum.evaluate import lungs
from hilum.models import backbones
from hilum.prepare import Pipeline
from hilum.recipe import Recipe
from hilum.recipe.plans import PreparePlan
from hilum.study.bench import Tell
from hilum.types import HilumError, Split


@dataclass(frozen=True, slots=True)
class Ground:
    """The recipe, its images and splits, and where things lie."""

    plan: Recipe
    classes: list[str]
    taken: Ingested
    splits: dict[int, Split]  # by seed
    root: Path | None  # of datasets as published
    out: Path
    work: Path  # of finished folds
    tell: Tell
    refused: Mapping[str, HilumError] = field(default_factory=dict)  # cells that cannot be run
    beside: Path | None = None  # of a task: the main question's manifest

    @property
    def first(self) -> Split:
        """The first seed's split, on which leaks are looked for and audits are made."""
        return self.splits[self.plan.seeds[0]]


def preparation(plan: Recipe) -> Pipeline:
    """The recipe's steps at its side, or at the side that the backbone was trained for."""
    return prepared(plan.prepare, plan.model.backbone)


def prepared(plan: PreparePlan, backbone: str) -> Pipeline:
    """The same for one backbone."""
    side = plan.side or backbones.card(backbone).side
    return prepare.from_list(prepare.with_side(plan.steps, side), lungs.named)
