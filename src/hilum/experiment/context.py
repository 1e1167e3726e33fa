"""What all cells of a run stand on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hilum import preprocess
from hilum.data.prepared_dataset import PreparedDataset
from hilum.experiment.cell_context import Tell
from hilum.models import backbones
from hilum.preprocess import Pipeline
from hilum.preprocess.lungs import segmenter
from hilum.recipes import Recipe
from hilum.recipes.schema import PreparePlan
from hilum.types import HilumError, Split


@dataclass(frozen=True, slots=True)
class RunContext:
    """The recipe, its images and splits, and where things lie."""

    plan: Recipe
    classes: list[str]
    taken: PreparedDataset
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


def preprocessing_of(plan: Recipe) -> Pipeline:
    """The recipe's steps at its side, or at the side that the backbone was trained for."""
    return prepared(plan.prepare, plan.model.backbone)


def prepared(plan: PreparePlan, backbone: str) -> Pipeline:
    """The same for one backbone."""
    side = plan.side or backbones.card(backbone).side
    return preprocess.from_list(preprocess.with_side(plan.steps, side), segmenter.load_segmenter)
