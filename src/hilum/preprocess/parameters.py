"""What a parameter of a step may be: its kind comes from the annotation, its bounds from the field.

Steps are named in recipes, on the command line and in model folders, so any value may arrive.
"""

from collections.abc import Mapping
from dataclasses import field, fields
from functools import lru_cache
from math import isfinite
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hilum.types import HilumError, nearest_name

LONGEST_SIDE = 8192  # pixels: more than any film has
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def between(default: float, least: float, most: float) -> Any:
    """A dataclass field that takes numbers from `least` to `most`."""
    return field(default=default, metadata={"least": least, "most": most})


def side(default: int = 224) -> Any:
    """A dataclass field for the side of an image, in pixels."""
    return between(default, 1, LONGEST_SIDE)


def names(step: type) -> list[str]:
    """The parameters that a recipe may set."""
    return [one.name for one in fields(step) if one.metadata.get("parameter", True)]


def checked(step: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters, whole floats as integers where integers are meant.

    Raises HilumError for a value of another kind, or beyond the bounds of its field.
    """
    bounds = {one.name: one.metadata for one in fields(step)}
    return {
        name: _checked(
            f"{name} of {getattr(step, 'name', '')}", value, _kinds(step)[name], bounds[name]
        )
        for name, value in given.items()
    }


@lru_cache(maxsize=64)
def _kinds(step: type) -> dict[str, Any]:
    return get_type_hints(step)


def _checked(what: str, value: Any, kind: Any, bounds: Mapping[Any, Any]) -> Any:
    if get_origin(kind) is Literal:
        allowed = [str(one) for one in get_args(kind)]
        if value not in get_args(kind):
            hint = nearest_name(str(value), allowed, "choose one of these.")
            raise HilumError(f"{what} is one of {', '.join(allowed)}; got {value!r}; {hint}")
        return value
    if kind not in WORDS:
        return value
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    least, most = bounds.get("least"), bounds.get("most")
    wanted = WORDS[kind] + ("" if least is None else f" from {least:g} to {most:g}")
    inside = least is None or (_is(value, float) and least <= value <= most)
    if not (_is(value, kind) and inside):
        raise HilumError(f"{what} must be {wanted}; got {value!r}; correct it.")
    return value


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of that kind; truth values are no numbers, and numbers are finite."""
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
