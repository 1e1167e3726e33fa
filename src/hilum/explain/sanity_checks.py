"""Whether an explanation can be trusted: checks of heat maps against the model and the truth."""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import nn

from hilum.explain.cam import heat
from hilum.explain.explainer import ExplainableModel, HeadFromMaps, torch_logits, torch_sight
from hilum.models import freezing, networks
from hilum.models.backbone import Backbone
from hilum.types import Floats, Grey8, Labels, Mask, Stack8

Heater: TypeAlias = Callable[[ExplainableModel, Grey8, int], Floats]  # -> heat (height, width)
Values: TypeAlias = npt.NDArray[np.float64]

STEPS = 28  # of a deletion or insertion curve
BLUR = 1 / 20  # deviation of the blur that insertion starts from, as a share of the side


@dataclass(frozen=True, slots=True)
class PerturbationCurve:
    """A class's probability (step,) against the share of pixels (step,) deleted or inserted."""

    share: Values
    value: Values

    @property
    def area(self) -> float:
        """Area under the curve: small is good for deletion, large for insertion."""
        return float(np.trapezoid(self.value, self.share))


@dataclass(frozen=True, slots=True)
class Energy:
    """How much of the heat lies in a mask, against how much of the image the mask covers."""

    inside: float  # share of the heat; nan for an empty map
    area: float  # share of the image

    @property
    def lift(self) -> float:
        """1 for heat spread evenly, more where it prefers the mask; nan without heat or mask."""
        return self.inside / self.area if self.area else float("nan")


def cascading_randomisation(
    explainable: ExplainableModel,
    films: Stack8,
    classes: Labels,
    heater: Heater = heat,
    seed: int = 0,
) -> pd.DataFrame:
    """Heat maps' likeness to the trained model's as its weights are made random, last layer first.

    Prepared films (image, height, width) and the class of each -> one row per level, `level,
    spearman, images`: the head, then each stage of the backbone as well. A map that is the same
    everywhere is like no other: 0. An explanation of the model must fall towards 0; one that does
    not shows the image, not the model. Adebayo et al. 2018, arXiv:1810.03292.
    """
    pairs = list(zip(films, classes.tolist(), strict=True))
    first = [heater(explainable, film, class_) for film, class_ in pairs]
    tail = copy.deepcopy(explainable.tail)
    # a compiled model would not know the changed weights
    changed = replace(
        explainable,
        tail=tail,
        see=torch_sight(explainable.normalise, tail.backbone),
        logits=torch_logits(explainable.normalise, tail, explainable.mirror),
    )
    rows = [("trained", 1.0, len(pairs))]
    for level, randomise in _levels(changed.tail, seed):
        randomise()
        maps = [heater(changed, film, class_) for film, class_ in pairs]
        like = [likeness(a, b) for a, b in zip(first, maps, strict=True)]
        rows.append((level, float(np.mean(like)), len(pairs)))
    return pd.DataFrame(rows, columns=["level", "spearman", "images"])


def likeness(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation of two maps (height, width); 0 where one is flat.

    Spearman 1904, doi:10.2307/1412159.
    """
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(spearmanr(first, second, axis=None).statistic)


def deletion_or_insertion_curve(
    probability: Callable[[Stack8], Values],
    film: Grey8,
    heatmap: Floats,
    way: Literal["deletion", "insertion"],
    steps: int = STEPS,
) -> PerturbationCurve:
    """A class's probability as pixels are deleted, or inserted, the hottest first.

    `probability` takes prepared films (image, height, width). Deletion paints with the film's mean
    grey; insertion begins with the film blurred. Petsiuk et al. 2018, arXiv:1806.07421.
    """
    start, end = (film, _mean_grey(film)) if way == "deletion" else (_blur(film), film)
    # stable: pixels of equal heat go in the same order on every machine
    order = np.argsort(-heatmap, axis=None, kind="stable")
    counts = np.rint(np.linspace(0, film.size, steps + 1)).astype(int)
    stack = np.repeat(start[None], steps + 1, axis=0)
    for picture, count in zip(stack, counts, strict=True):
        picture.flat[order[:count]] = end.flat[order[:count]]
    return PerturbationCurve(counts / film.size, np.asarray(probability(stack), np.float64))


def pointing_game(heatmap: Floats, mask: Mask, tolerance: int = 0) -> bool | None:
    """The pointing game: is the hottest pixel in the mask, or within `tolerance` pixels of it?

    Map and mask (height, width); None where one is empty.
    Zhang et al. 2018, doi:10.1007/s11263-017-1059-x (15 pixels).
    """
    if not heatmap.any() or not mask.any():
        return None
    at = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    # OpenCV measures each pixel's distance to the nearest 0, here the mask
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return bool(away[at] <= tolerance)


def energy(heatmap: Floats, mask: Mask) -> Energy:
    """Heat (height, width) inside a mask of the same shape, against the mask's area.

    The energy-based pointing game of Wang et al. 2020, doi:10.1109/CVPRW50498.2020.00020.
    """
    total = float(heatmap.sum(dtype=np.float64))
    inside = float(heatmap[mask].sum(dtype=np.float64)) / total if total > 0 else float("nan")
    return Energy(inside, float(mask.mean()))


def _levels(tail: HeadFromMaps, seed: int) -> Sequence[tuple[str, Callable[[], None]]]:
    """What is made random level by level, from the head down to the backbone's first stage."""
    members = [tail.backbone, *(other.backbone for other in tail.backbone.neighbours)]
    down = [level for member in members for level in _stages(member, seed)]
    return [("head", lambda: _randomise_head(tail.head, seed)), *down]


def _stages(backbone: Backbone, seed: int) -> list[tuple[str, Callable[[], None]]]:
    """A network's stages, the last one first."""
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
        torch.manual_seed(seed)
        fresh = networks.create(backbone.card, backbone.weights.variant, keep=backbone.kept)
    state = fresh.state_dict()

    def stage(pattern: str) -> Callable[[], None]:
        weights = {
            name: value for name, value in state.items() if re.search(pattern, f"net.{name}")
        }

        def load() -> None:
            backbone.net.load_state_dict(weights, strict=False)

        return load

    return [
        (" + ".join(names), stage(freezing.stage_pattern(names)))
        for names in reversed(backbone.reached.stages)
    ]


def _randomise_head(head: nn.Module, seed: int) -> None:
    """Random weights as large as the head's own were."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in head.modules():
            if isinstance(layer, nn.Linear):
                spread = float(layer.weight.std())
                noise = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
                layer.weight.copy_(noise * spread)


def _mean_grey(film: Grey8) -> Grey8:
    return np.full_like(film, round(float(film.mean())))


def _blur(film: Grey8) -> Grey8:
    return np.asarray(cv2.GaussianBlur(film, (0, 0), max(film.shape) * BLUR), np.uint8)
