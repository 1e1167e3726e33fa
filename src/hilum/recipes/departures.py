"""Where a run leaves the paper's settings: the published mode of a recipe against what is run.

The paper's settings are what the recipe's file says in its published mode. The other mode,
`--quick`, `--set` and later edits of a stored recipe are compared with them key by key.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from hilum.recipes.schema import Departure, Recipe
from hilum.recipes.trees import Tree, as_tree, parse_recipe

# what decides whether a figure is the paper's; titles, figures and words are not among it
COMPARED = (
    *("mode", "learns", "classes", "data", "external_tests", "modalities", "split", "prepare"),
    *("model", "augment", "train", "source_task", "seeds", "grid", "arms"),
)
Keys: TypeAlias = tuple[str, ...]
Layer: TypeAlias = tuple[str, Mapping[str, Any]]  # what was given, such as "--quick", and its keys
HAND = "an edited recipe"


def has_paper(tree: Mapping[str, Any]) -> bool:
    """Whether the tree, or a task of it, states published numbers."""
    tasks = tree.get("tasks", {}).values()
    return bool(tree.get("published")) or any(task.get("published") for task in tasks)


def noted(recipe: Recipe, reference: Recipe, layers: Sequence[Layer] = ()) -> Recipe:
    """The recipe with `departures`: every key that differs from the `reference`, and its cause.

    The cause is the last layer that names the key, else what an earlier note of it says.
    """
    before = {tuple(row.key): row.because for row in recipe.departures}
    rows = [
        Departure(key=list(path), paper=paper, because=_cause(path, layers, before))
        for path, paper, _ in between(as_tree(reference), as_tree(recipe))
    ]
    return recipe.model_copy(update={"departures": rows})


def reference(recipe: Recipe) -> Recipe:
    """The paper's recipe: every departure taken back."""
    return parse_recipe(taken_back(as_tree(recipe)))


def taken_back(tree: Mapping[str, Any]) -> Tree:
    """The same tree of plain values with the paper's in the place of what departs from them."""
    out = {key: value for key, value in tree.items() if key != "departures"}
    for row in tree.get("departures", ()):
        out = _put(out, tuple(row["key"]), row.get("paper"))
    return out


def between(paper: Mapping[str, Any], ran: Mapping[str, Any]) -> list[tuple[Keys, Any, Any]]:
    """(key, the paper's value, ours) of every compared key that differs; None where it is absent.

    Tables are compared key by key, lists as a whole. An absent axis of a grid is an empty one.
    """
    differing = [row for key in COMPARED for row in _below((key,), paper.get(key), ran.get(key))]
    return [(path, _plain(one), _plain(other)) for path, one, other in differing]


def _below(path: Keys, paper: Any, ran: Any) -> Iterator[tuple[Keys, Any, Any]]:
    if isinstance(paper, Mapping) and isinstance(ran, Mapping):
        for key in dict.fromkeys([*paper, *ran]):
            yield from _below((*path, key), paper.get(key), ran.get(key))
    elif _plain(paper) != _plain(ran) and not (path[0] == "grid" and not paper and not ran):
        yield path, paper, ran


def _plain(value: Any) -> Any:
    """As TOML gives it back: lists for tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _put(tree: Mapping[str, Any], path: Keys, value: Any) -> Tree:
    head, rest = path[0], path[1:]
    if rest:
        return {**tree, head: _put(tree.get(head) or {}, rest, value)}
    if value is None:
        return {key: item for key, item in tree.items() if key != head}
    return {**tree, head: value}


def _cause(path: Keys, layers: Sequence[Layer], before: Mapping[Keys, str]) -> str:
    for name, over in reversed(layers):
        if _names(over, path):
            return name
    return before.get(path, HAND)


def _names(over: Any, path: Keys) -> bool:
    """Whether a layer sets this key, or a table above or below it."""
    for key in path:
        if not isinstance(over, Mapping):
            return True
        if key not in over:
            return False
        over = over[key]
    return True
