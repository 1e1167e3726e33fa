"""From a dataset's name, as a person types it, to its card; and where fetched datasets lie."""

from pathlib import Path

from hilum import files
from hilum.datasets.cards import CARDS, DatasetCard
from hilum.types import HilumError, nearest_name


def card(name: str) -> DatasetCard:
    """Return the card of that name; raise HilumError with the nearest name where there is none."""
    if name in CARDS:
        return CARDS[name]
    hint = nearest_name(name, CARDS, "see `hilum data list`.")
    raise HilumError(f"a dataset must be one of {', '.join(CARDS)}; got {name!r}; {hint}")


def datasets_home() -> Path:
    """Folder of the datasets that `fetch` has brought, below the cache home."""
    return files.cache_home() / "datasets"
