"""Keys of a recipe that have a new name: both are read, the new one is written."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from hilum.types import HilumError

Path: TypeAlias = tuple[str, ...]

# where a key is, by present names, and what it was called -> what it is called
NEW_NAMES: dict[Path, str] = {
    ("source",): "source_task",
    ("source_task", "apart"): "exclude_target",
    ("later",): "external_tests",
    ("model", "beside"): "auxiliary_backbones",
}
LAYERS = ("modes", "arms", "tasks")  # each table in them is part of a recipe, as `quick` is


def with_new_names(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's tree, or a part of one, with present names alone; HilumError where both are there.

    The dotted keys of `grid` stay, since cells are named by them.
    """
    return dict(_renamed(tree, (), ""))


def new_key(dotted: str) -> str:
    """A dotted key with present names: "model.beside" is "model.auxiliary_backbones"."""
    return ".".join(_spelt(dotted.split("."))[0])


def _renamed(value: Any, at: Path, where: str) -> Any:
    if at == ("departures",) and isinstance(value, list):
        return [_departure(row) for row in value]
    if at == ("unspecified_in_paper",) and isinstance(value, list):
        return [new_key(key) if isinstance(key, str) else key for key in value]
    if at == ("grid",) and isinstance(value, Mapping):
        return {key: _values(items, key) for key, items in value.items()}
    if not isinstance(value, Mapping):
        return value
    out = {}
    for key, item in value.items():
        name = _name(at, key)
        if name != key and name in value:
            raise HilumError(
                f"recipe keys '{where}{key}' and '{where}{name}' are the old and the new name of "
                f"one setting; got both; leave '{where}{key}' out."
            )
        out[name] = _renamed(item, _below(at, name), f"{where}{name}.")
    return out


def _values(items: Any, key: str) -> Any:
    """An axis of the grid: its values may be tables."""
    at = _spelt(key.split("."))[1]
    return [_renamed(item, at, f"{key}.") for item in items] if isinstance(items, list) else items


def _departure(row: Any) -> Any:
    """One row of a stored recipe's `departures`: its key is a path, and `paper` lies there."""
    if not isinstance(row, Mapping) or not isinstance(row.get("key"), list):
        return row
    names, at = _spelt(row["key"])
    paper = {"paper": _renamed(row["paper"], at, "")} if "paper" in row else {}
    return {**row, "key": names, **paper}


def _spelt(keys: Sequence[str]) -> tuple[list[str], Path]:
    """The same keys by present names, and where they lead."""
    names: list[str] = []
    at: Path = ()
    for key in keys:
        names.append(_name(at, key))
        at = _below(at, names[-1])
    return names, at


def _name(at: Path, key: str) -> str:
    return NEW_NAMES.get((*at, key), key)


def _below(at: Path, key: str) -> Path:
    """Where a key leads; back to a recipe's own keys below a layer's name."""
    is_layer = (at == () and key == "quick") or (len(at) == 1 and at[0] in LAYERS)
    return () if is_layer else (*at, key)
