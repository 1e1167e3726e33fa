"""What all cells of a run stand on."""

from dataclasses import dataclass
from pathlib import Path

from hilum import prepare
from hilum.data.pixels import Ingested
from hilum.models import backbones
from hilum.prepare import Pipeline
from hilum.recipe import Recipe
from hilum.study.bench import Tell
from hilum.types import Split


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


def preparation(plan: Recipe) -> Pipeline:
    """The recipe's steps at its side, or at the side that the backbone was trained for."""
    side = plan.prepare.side or backbones.card(plan.model.backbone).side
    return prepare.from_list(prepare.with_side(plan.prepare.steps, side))
