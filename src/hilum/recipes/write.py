"""A resolved recipe as TOML text; the standard library only reads it."""

import json
from collections.abc import Mapping
from typing import Any

from hilum.recipes.schema import Recipe
from hilum.recipes.trees import as_tree


def as_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML text that `load` reads back to the same recipe."""
    return "\n".join(_toml(as_tree(recipe), ())) + "\n"


def _toml(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Values first, then sub-tables, then arrays of tables, as TOML wants them."""
    plain = {k: v for k, v in table.items() if not _is_table(v) and not _is_tables(v)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        at = ".".join(_key(part) for part in (*path, key))
        if _is_table(value):
            lines += ["", f"[{at}]", *_toml(value, (*path, key))]
        if _is_tables(value):
            for row in value:
                lines += ["", f"[[{at}]]", *_toml(row, (*path, key))]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: Any) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)
    )


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if value == float("inf"):
        return "inf"  # JSON has no word for it
    return json.dumps(value, ensure_ascii=False)
