"""What the Tab key offers for arguments that are names."""


def recipes_like(incomplete: str) -> list[str]:
    """The recipes that come with hilum whose names begin so; a file's name is completed as well."""
    from hilum import recipes

    return [name for name in recipes.recipe_names() if name.startswith(incomplete)]


def datasets_like(incomplete: str) -> list[str]:
    """The public datasets whose names begin so."""
    from hilum.datasets.registry import DATASETS

    return [name for name in DATASETS if name.startswith(incomplete)]
