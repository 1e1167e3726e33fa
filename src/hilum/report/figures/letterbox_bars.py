"""The bars that pad a film to a square, and how much of a heat map lies on them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hilum.types import Grey8, Mask


def fill_level(model: Mapping[str, Any]) -> int | None:
    """The grey of the bars that the model's preparation adds; None where it adds none."""
    preparation = model.get("preparation")
    steps = preparation.get("steps") if isinstance(preparation, Mapping) else None
    boxes = [step for step in steps or [] if step.get("step") == "letterbox"]
    return int(boxes[-1].get("fill", 128)) if boxes else None


def bars(film: Grey8, fill: int | None) -> Mask:
    """(height, width): the outer rows and columns that are of this grey throughout.

    Where a later step has changed the grey of the bars none is found, and nothing is claimed.
    """
    out = np.zeros(film.shape, dtype=np.bool_)
    if fill is None:
        return out
    for axis, view in ((1, out), (0, out.T)):
        inside = np.flatnonzero(~(film == fill).all(axis=axis))
        if len(inside):
            view[: inside[0]] = True
            view[inside[-1] + 1 :] = True
    return out


def heat_on_bars(film: Grey8, heat: Grey8, fill: int | None) -> float:
    """The share of `heat` (height, width) that lies on the film's bars; 0 without any heat."""
    total = float(heat.sum())
    return float(heat[bars(film, fill)].sum()) / total if total else 0.0
