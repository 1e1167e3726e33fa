"""From TOML to a checked recipe: base, mode, quick and changes, merged in order."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from hilum.recipes import departures, grid
from hilum.recipes.old_names import with_new_names
from hilum.recipes.schema import Mode, Recipe
from hilum.recipes.trees import Tree, merged, nested, parse_recipe
from hilum.types import HilumError, given_path, nearest_name


def recipe_names() -> list[str]:
    """The recipes that come with hilum, by name.

    >>> import hilum
    >>> "zhang2022" in hilum.recipe_names()
    True
    """
    files = resources.files("hilum.recipes.builtin").iterdir()
    return sorted(Path(item.name).stem for item in files if item.name.endswith(".toml"))


def load_recipe(
    recipe: str, mode: Mode | None = None, quick: bool = False, changes: Sequence[str] = ()
) -> Recipe:
    """Read a recipe by name or file: base, then its mode, then quick, then `key=value` changes.

    Raises HilumError for an unknown recipe or key (the nearest is named) and for bad values, also
    in its arms and tasks.

    >>> import hilum
    >>> hilum.load_recipe("demo", changes=["seeds=[0, 1]"]).seeds
    [0, 1]
    """
    if isinstance(changes, str) or not all(isinstance(change, str) for change in changes):
        raise HilumError(
            f"changes are a list of texts such as 'model.backbone=resnet50'; got {changes!r}; "
            "put each into a list."
        )
    tree = _read(recipe)
    _require_tables(tree)
    modes, short = tree.pop("modes", {}), tree.pop("quick", {})
    _known(modes, get_args(Mode), "modes")
    chosen = mode or tree.get("mode", "corrected")
    if not isinstance(chosen, str):
        raise HilumError(
            f"recipe key 'mode' is one of {', '.join(get_args(Mode))}; got "
            f"{type(chosen).__name__}; write one of these."
        )
    paper = _of_the_paper(tree, modes, chosen) if departures.has_paper(tree) else None
    changed = [(f"--set {change.partition('=')[0].strip()}", _change(change)) for change in changes]
    for over in (modes.get(chosen, {}), short if quick else {}, *(over for _, over in changed)):
        tree = _laid(tree, over)
    resolved = grid.checked(parse_recipe({**tree, "mode": chosen}))
    if paper is None:
        return resolved
    # what the published mode alone says departs because of the other mode
    moded = {**merged(modes.get("published", {}), modes.get(chosen, {})), "mode": chosen}
    layers = [(f"mode {chosen}", moded), *([("--quick", short)] if quick else []), *changed]
    return departures.noted(resolved, paper, layers)


def _require_tables(tree: Mapping[str, Any]) -> None:
    """HilumError where modes, `quick` or further questions are no tables.

    The schema checks all else, after that.
    """
    for key in ("modes", "quick", "tasks"):
        found = {key: tree.get(key, {})}
        if key != "quick" and isinstance(tree.get(key), dict):
            found |= {f"{key}.{name}": value for name, value in tree[key].items()}
        for name, value in found.items():
            if not isinstance(value, dict):
                raise HilumError(
                    f"recipe key {name!r} is a table; got {type(value).__name__}; write "
                    f"[{name}] and its keys below."
                )


def _of_the_paper(tree: Tree, modes: Mapping[str, Any], mode: str) -> Recipe:
    """The file in its published mode; of a stored recipe, with its departures taken back.

    A file without that mode is the paper's as it is, whatever `mode` it is run in. A copy of a
    recipe that comes with hilum is compared with that one, whatever was changed in the copy.
    """
    if (
        not modes
        and tree.get("name") in recipe_names()
        and departures.has_paper(_read(tree["name"]))
    ):
        tree = _read(tree["name"])
        modes = tree.get("modes", {})
        tree = {key: value for key, value in tree.items() if key not in ("modes", "quick")}
    if tree.get("departures"):
        return parse_recipe(departures.taken_back(tree))
    paper = "published" if "published" in modes else tree.get("mode", mode)
    return parse_recipe({**merged(tree, modes.get("published", {})), "mode": paper})


def own_data(keys: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """The change that makes a recipe's `data` a user's own images: path, labels, source_tag.

    `columns`: role -> the name that it has in the user's table.
    """
    own = [f"{key} = {_quoted(text)}" for key, text in keys.items() if text]
    named = ", ".join(f"{role} = {_quoted(name)}" for role, name in columns.items())
    return f"data=[{{{', '.join(own)}, columns={{{named}}}}}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a basic string of TOML is written alike


def _laid(tree: Tree, over: Mapping[str, Any]) -> Tree:
    """`over` merged into the tree; what it switches must be there, or a slip would switch
    nothing.
    """
    for kind in ("arms", "tasks"):
        known, named = tree.get(kind, {}), over.get(kind, {})
        for name, table in named.items() if isinstance(named, Mapping) else ():
            if name not in known and isinstance(table, Mapping) and [*table] == ["enabled"]:
                hint = nearest_name(name, known, "" if known else "there are none.")
                raise HilumError(
                    f"{kind}.{name} is switched on or off, but there is no such table; {hint}"
                )
    return merged(tree, over)


def _read(recipe: str) -> Tree:
    path = given_path(recipe).expanduser()
    if path.suffix == ".toml" or path.is_file():
        return with_new_names(_parsed(path))
    if recipe in recipe_names():
        text = resources.files("hilum.recipes.builtin").joinpath(f"{recipe}.toml").read_text()
        return with_new_names(tomllib.loads(text))
    raise HilumError(
        f"recipe must be a TOML file or one of {', '.join(recipe_names())}; got {recipe!r}; "
        + nearest_name(recipe, recipe_names(), "choose one of these.")
    )


def _parsed(path: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise HilumError(f"recipe file {path} cannot be read ({error}); check the path.") from None
    except tomllib.TOMLDecodeError as error:
        raise HilumError(
            f"recipe file {path} is not valid TOML: {error}; correct that line."
        ) from None
    except RecursionError:
        raise HilumError(
            f"recipe file {path} must hold the tables of a recipe; got brackets inside brackets, "
            "too deep to read; remove them."
        ) from None


def _change(change: str) -> Tree:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise HilumError(f"--set needs key=value, as in model.backbone=resnet50; got {change!r}.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text  # a bare word is a string, so that no shell needs nested quotes
    return with_new_names(nested(key.strip(), value))


def _known(table: Mapping[str, Any], allowed: Sequence[str], what: str) -> None:
    for key in table:
        if key not in allowed:
            raise HilumError(
                f"{what} must be among {', '.join(allowed)}; got {key!r}; "
                + nearest_name(key, allowed, "choose one of these.")
            )
