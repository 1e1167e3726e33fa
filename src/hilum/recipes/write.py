"""A resolved recipe as TOML text; the standard library only reads it."""

import tomli_w

from hilum.recipes.schema import Recipe
from hilum.recipes.trees import as_tree


def as_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML text that `load` reads back to the same recipe."""
    return tomli_w.dumps(as_tree(recipe))
