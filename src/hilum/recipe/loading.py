"""From TOML to a checked recipe: base, mode, quick and changes, laid upon each other."""

import difflib
import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias, get_args

from pydantic import ValidationError

from hilum.recipe.plans import Mode, Recipe
from hilum.types import HilumError

Tree: TypeAlias = dict[str, Any]


def names() -> list[str]:
    """The recipes that come with hilum, by name."""
    found = resources.files("hilum.recipes").iterdir()
    return sorted(Path(item.name).stem for item in found if item.name.endswith(".toml"))


def load(
    recipe: str, mode: Mode | None = None, quick: bool = False, changes: Sequence[str] = ()
) -> Recipe:
    """Read a recipe by name or file: base, then its mode, then quick, then `key=value` changes.

    Raises HilumError for an unknown recipe or key (the nearest is named) and for bad values.
    """
    tree = _read(recipe)
    modes, short = tree.pop("modes", {}), tree.pop("quick", {})
    _known(modes, get_args(Mode), "modes")
    chosen = mode or tree.get("mode", "corrected")
    tree = merged(tree, modes.get(chosen, {}))
    tree = merged(tree, short if quick else {})
    for change in changes:
        tree = merged(tree, _change(change))
    return parse({**tree, "mode": chosen})


def parse(tree: Mapping[str, Any]) -> Recipe:
    """Check a tree of plain values against the models."""
    try:
        return Recipe.model_validate(dict(tree))
    except ValidationError as error:
        raise HilumError(_sentence(error)) from None


def cells(recipe: Recipe) -> dict[str, Recipe]:
    """The grid's cells by name ("backbone=resnet50,head=mlp"); one cell, "main", without a grid."""
    if not recipe.grid:
        return {"main": recipe}
    found = {}
    for values in itertools.product(*recipe.grid.values()):
        pairs = dict(zip(recipe.grid, values, strict=True))
        name = ",".join(f"{key.rsplit('.', 1)[-1]}={_said(value)}" for key, value in pairs.items())
        if name in found:
            raise HilumError(
                f"grid cells need names of their own; got {name!r} twice; "
                "give the tables in `grid` different names."
            )
        tree = {**as_tree(recipe), "grid": {}}
        for key, value in pairs.items():
            tree = merged(tree, _nested(key, value))
        found[name] = parse(tree)
    return found


def as_tree(recipe: Recipe) -> Tree:
    """Plain values only, every default spelt out."""
    return recipe.model_dump(by_alias=True, exclude_none=True)


def merged(base: Tree, over: Mapping[str, Any]) -> Tree:
    """`over` laid upon `base`, table by table; lists are replaced whole."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else value
    return out


def _said(value: Any) -> str:
    """A grid's value as its cell's name says it: a table by its name, or by all of its values."""
    if isinstance(value, Mapping):
        return str(value["name"]) if "name" in value else _said(list(value.values()))
    if isinstance(value, list):
        return " ".join(_said(item) for item in value)
    return str(value)


def _read(recipe: str) -> Tree:
    path = Path(recipe).expanduser()
    if path.suffix == ".toml" or path.is_file():
        return _parsed(path)
    if recipe in names():
        return tomllib.loads(
            resources.files("hilum.recipes").joinpath(f"{recipe}.toml").read_text()
        )
    raise HilumError(
        f"recipe must be a TOML file or one of {', '.join(names())}; got {recipe!r}"
        + _nearest(recipe, names())
    )


def _parsed(path: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise HilumError(f"recipe file {path} cannot be read ({error}); check the path.") from None
    except tomllib.TOMLDecodeError as error:
        raise HilumError(
            f"recipe file {path} is not valid TOML: {error}; mend that line."
        ) from None


def _change(change: str) -> Tree:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise HilumError(f"--set wants key=value, as in model.backbone=resnet50; got {change!r}.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string, so that no shell needs nested quotes
    return _nested(key.strip(), value)


def _nested(key: str, value: Any) -> Tree:
    head, _, rest = key.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _sentence(error: ValidationError) -> str:
    """The first complaint of pydantic in our words."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        return f"recipe key {where!r} does not exist" + _nearest(str(first["loc"][-1]), known)
    if first["type"] == "missing":
        return f"recipe needs the key {where!r}; got none; add it."
    got = json.dumps(first["input"], default=str)[:80]
    return f"recipe key {where or 'recipe'!r}: {first['msg']}; got {got}; change that value."


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    kind: Any = Recipe
    for part in loc:
        if isinstance(part, str):
            annotation = kind.model_fields[part].annotation
            kind = next((a for a in get_args(annotation) if isinstance(a, type)), annotation)
    return [field.alias or name for name, field in kind.model_fields.items()]


def _known(table: Mapping[str, Any], allowed: Sequence[str], what: str) -> None:
    for key in table:
        if key not in allowed:
            raise HilumError(
                f"{what} must be among {', '.join(allowed)}; got {key!r}" + _nearest(key, allowed)
            )


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}."
