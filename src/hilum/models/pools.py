"""Which of a network's maps become features: pools by name, or by the strides of the maps."""

from collections.abc import Sequence
from typing import Any

from hilum.models.cards import Pool, Strides
from hilum.types import HilumError

EARLIER: Strides = (8, 16)  # pixels from place to place of the maps before the last
LAST = 0  # in `maps_of`: the last map, as the network itself pools it
AVERAGES: tuple[Pool, ...] = ("average", "stages")  # by name; any list of strides averages too


def settled(pool: Any) -> Pool:
    """A pool as the models take it: "early" and lists become a tuple of strides, rising.

    Raises HilumError for strides that are no powers of two from 2 to 64.
    """
    if pool == "early":
        return EARLIER
    if isinstance(pool, str):
        named: Pool = pool  # type: ignore[assignment]  # `kept` refuses an unknown name
        return named
    strides = tuple(sorted(set(pool)))
    if not strides or not set(strides) <= {2, 4, 8, 16, 32, 64}:
        raise HilumError(
            f"strides of a pool are among 2, 4, 8, 16, 32 and 64; got {list(pool)}; choose "
            "[8, 16], for instance."
        )
    return strides


def name_of(pool: Pool | list[int]) -> str:
    """The pool in words, as reports print it."""
    if isinstance(pool, str):
        return pool
    return f"stride{'s' if len(pool) > 1 else ''} {' and '.join(map(str, pool))}"


def plain(pool: Pool) -> str | list[int]:
    """The pool as JSON and recipes have it."""
    return pool if isinstance(pool, str) else list(pool)


def averages(pool: Pool) -> bool:
    """Whether features are means of maps, so that networks and pictures can be joined."""
    return pool in AVERAGES or not isinstance(pool, str)


def strides_of(pool: Pool) -> Strides:
    """The maps before the last one that a pool averages."""
    if isinstance(pool, str):
        return EARLIER if pool == "stages" else ()
    return pool


def maps_of(pool: Pool) -> tuple[int, ...]:
    """The same with LAST where the last map is pooled too, in the order of the features."""
    return strides_of(pool) if not isinstance(pool, str) else (LAST, *strides_of(pool))


def widest(pools: Sequence[Pool]) -> Pool | None:
    """The pool among these whose features hold all others'; None where there is none."""
    if not all(map(averages, pools)):
        return None
    return next((p for p in pools if all(set(maps_of(o)) <= set(maps_of(p)) for o in pools)), None)
