"""What one recipe asks for: its arms and grid as cells, its tasks as recipes of their own."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hilum.recipes import departures
from hilum.recipes.old_names import new_key, with_new_names
from hilum.recipes.schema import Recipe
from hilum.recipes.trees import Tree, as_tree, merged, nested, parse_recipe
from hilum.types import HilumError, nearest_name

ARM_KEYS = ("model", "augment", "train", "source_task")  # none of them touches images or splits
SWITCH = "enabled"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # it names a folder, and is before ":" and ","
PLACE = re.compile(r"[A-Za-z0-9_-]+=[A-Za-z0-9_. -]+(,[A-Za-z0-9_-]+=[A-Za-z0-9_. -]+)*")
RESERVED = ("main", "source")  # cells of these names are there anyway


def checked(recipe: Recipe, where: str = "") -> Recipe:
    """The same recipe, once its arms and tasks are known to be sound, those switched off too.

    Raises HilumError that names the key, as in "arms.frozen.model.backbon".
    """
    for name, over in recipe.arms.items():
        _require_name(f"{where}arms", name, over)
        _arm(recipe, name, over, where)
    _require_one_name(recipe.grid, where)
    if recipe.arms and not any(map(_on, recipe.arms.values())):
        raise HilumError(
            f"a recipe with arms must have one that is enabled; got {', '.join(recipe.arms)}, all "
            "switched off; enable one."
        )
    for name, over in recipe.tasks.items():
        _require_name("tasks", name, over, tuple(recipe.arms))
        checked(_task(recipe, name, over), f"tasks.{name}.")
    return recipe


def cells(recipe: Recipe) -> dict[str, Recipe]:
    """The cells by name: arms x grid ("frozen,backbone=resnet50"); "main" without either.

    Raises HilumError where two cells would have the same name.
    """
    named: dict[str, Recipe] = {}
    for arm, plan in _arms(recipe):
        for point, cell in _points(plan):
            name = ",".join(part for part in (arm, point) if part) or "main"
            if name in named:
                raise HilumError(
                    f"grid cells need names of their own; got {name!r} twice; "
                    "give the tables in `grid` different names."
                )
            named[name] = cell
    return named


def tasks(recipe: Recipe) -> dict[str, Recipe]:
    """The enabled tasks by name, each a recipe of its own without tasks.

    One with published numbers departs from the same task merged into the paper's settings.
    """
    paper = departures.reference(recipe)
    named = {}
    for name, over in recipe.tasks.items():
        if _on(over):
            task = _task(recipe, name, over)
            of_paper = _task(paper, name, over) if task.published else task
            named[name] = departures.noted(task, of_paper)
    return named


def without_tasks(recipe: Recipe) -> Recipe:
    """The recipe without its tasks: the main question."""
    return recipe.model_copy(update={"tasks": {}})


def _arms(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Each enabled arm as a recipe without arms; without any, the recipe itself under no name."""
    if not recipe.arms:
        yield "", without_tasks(recipe)
    for name, over in recipe.arms.items():
        if _on(over):
            yield name, _arm(recipe, name, over)


def _points(plan: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Each point of the grid, named by its values; without a grid the recipe under no name.

    An empty axis is none: so a task drops one of the main question.
    """
    grid = {key: values for key, values in plan.grid.items() if values}
    for values in itertools.product(*grid.values()):
        pairs = dict(zip(grid, values, strict=True))
        tree = {**as_tree(plan), "grid": {}}
        for key, value in pairs.items():
            tree = merged(tree, with_new_names(nested(key, value)))
        name = ",".join(f"{key.rsplit('.', 1)[-1]}={_said(value)}" for key, value in pairs.items())
        yield name, parse_recipe(tree)


def _arm(recipe: Recipe, name: str, over: Mapping[str, Any], where: str = "") -> Recipe:
    for key in over:
        if key not in (*ARM_KEYS, SWITCH):
            raise HilumError(_refusal(f"{where}arms.{name}.{key}", key))
    tree = {**as_tree(recipe), "arms": {}, "tasks": {}}
    return parse_recipe(merged(tree, _settings(over)), f"{where}arms.{name}.")


def _refusal(where: str, key: str) -> str:
    """Why an arm may not have this key: it does not exist, or it belongs to a task."""
    if key not in Recipe.model_fields:
        return f"recipe key {where!r} does not exist; " + nearest_name(key, ARM_KEYS)
    return (
        f"an arm may change {', '.join(ARM_KEYS)}, because all arms use the same images "
        f"and splits; got {where!r}; make it a task: [tasks.NAME] may change anything."
    )


def _task(recipe: Recipe, name: str, over: Mapping[str, Any]) -> Recipe:
    """The recipe with the task merged into it; the paper's numbers are those of one question."""
    if "tasks" in over:
        raise HilumError(
            f"a task cannot have tasks; got 'tasks.{name}.tasks'; move it to the level of {name!r}."
        )
    renamed: Tree = {"name": f"{recipe.name}-{name}", "title": name.replace("_", " ")}
    tree = {**as_tree(recipe), **renamed, "published": [], "tasks": {}}
    return parse_recipe(merged(tree, _settings(over)), f"tasks.{name}.")


def _settings(over: Mapping[str, Any]) -> Tree:
    return {key: value for key, value in over.items() if key != SWITCH}


def _on(over: Mapping[str, Any]) -> bool:
    return bool(over.get(SWITCH, True))


def _require_one_name(grid: Mapping[str, Any], where: str) -> None:
    keys = [new_key(key) for key in grid]
    for key in {key for key in keys if keys.count(key) > 1}:
        raise HilumError(
            f"{where}grid must name a key once; got {key!r} by its old and its new "
            "name; leave the old one out."
        )


def _require_name(
    kind: str, name: str, over: Mapping[str, Any], reserved: tuple[str, ...] = ()
) -> None:
    places = kind.endswith("arms") and PLACE.fullmatch(name)
    if not (NAME.fullmatch(name) or places) or name in (*RESERVED, *reserved):
        raise HilumError(
            f"{kind} must have names of letters, digits, _ and -, and not "
            f"{', '.join((*RESERVED, *reserved))}; got {name!r}; choose another."
        )
    if not isinstance(over.get(SWITCH, True), bool):
        raise HilumError(
            f"{kind}.{name}.{SWITCH} must be true or false; got {over[SWITCH]!r}; change it."
        )


def _said(value: Any) -> str:
    """A grid's value as its cell's name says it: a table by its name, or by all of its values."""
    if isinstance(value, Mapping):
        return str(value["name"]) if "name" in value else _said(list(value.values()))
    if isinstance(value, list):
        return " ".join(_said(item) for item in value)
    return str(value)
