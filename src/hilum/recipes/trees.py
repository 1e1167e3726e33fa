"""Recipes as trees of plain values: merged in order, and checked against the models."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias, get_args

from pydantic import ValidationError

from hilum.recipes.old_names import with_new_names
from hilum.recipes.schema import Recipe
from hilum.types import HilumError, nearest_name

Tree: TypeAlias = dict[str, Any]


def parse_recipe(tree: Mapping[str, Any], where: str = "") -> Recipe:
    """Check a tree of plain values against the models; `where` leads the keys that errors name."""
    try:
        return Recipe.model_validate(with_new_names(tree))
    except ValidationError as error:
        raise HilumError(_sentence(error, where)) from None


def as_tree(recipe: Recipe) -> Tree:
    """Plain values only, every default spelt out."""
    return recipe.model_dump(by_alias=True, exclude_none=True)


def merged(base: Tree, over: Mapping[str, Any]) -> Tree:
    """`over` merged into `base`, table by table; lists are replaced whole."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else value
    return out


def nested(key: str, value: Any) -> Tree:
    """A dotted key as tables within tables."""
    head, _, rest = key.partition(".")
    return {head: nested(rest, value) if rest else value}


def _sentence(error: ValidationError, before: str) -> str:
    """The first complaint of pydantic in our words."""
    first = error.errors()[0]
    where = before + ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        hint = nearest_name(str(first["loc"][-1]), known)
        return f"recipe key {where!r} does not exist; {hint}"
    if first["type"] == "missing":
        return f"recipe needs the key {where!r}; got none; add it."
    got = json.dumps(first["input"], default=str)[:80]
    message = first["msg"].removeprefix(
        "Value error, "
    )  # pydantic's, before a validator's own words
    return f"recipe key {where or 'recipe'!r}: {message}; got {got}; change that value."


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    kind: Any = Recipe
    for part in loc:
        if isinstance(part, str):
            annotation = kind.model_fields[part].annotation
            kind = next((a for a in get_args(annotation) if isinstance(a, type)), annotation)
    return [field.alias or name for name, field in kind.model_fields.items()]
