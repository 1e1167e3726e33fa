"""Values of another kind than a recipe's keys have: one sentence each, wherever they stand."""

from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest

from hilum import recipes
from hilum.types import HilumError

TOP = (
    "mode", "modes", "quick", "arms", "tasks", "grid", "data", "split", "model", "train",
    "augment", "prepare", "seeds", "classes", "paper", "published", "source_task", "figures",
)  # fmt: skip
BELOW = (
    "[modes]\npublished", "[modes.published]\ntasks", "[modes.published]\narms", "[arms]\nx",
    "[tasks]\nx", "[tasks.x]\narms", "[tasks.x]\ndata", "[tasks.x]\nmodes", "[tasks.x]\ngrid",
    "[quick]\narms", "[quick]\ntasks", "[quick]\nmode",
)  # fmt: skip
VALUES = ("3", '"x"', "[]", "[1]", "[[1]]", "{}", "{a=1}", "{a={b=1}}", "true", "1.5")


@pytest.mark.parametrize("key", [*TOP, *BELOW])
def test_every_kind_of_value_is_read_or_refused(key: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for value, quick in product(VALUES, (False, True)):
        path.write_text(f'name = "a"\n{key} = {value}\n')
        with suppress(HilumError):
            recipes.load_recipe(str(path), quick=quick)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mode]\na = 1", "'mode' is one of .*; got dict"),
        ("quick = 3", "'quick' is a table; got int"),
        ("[tasks]\nx = 1", r"'tasks\.x' is a table; got int"),
        ("modes = []", "'modes' is a table; got list"),
    ],
)
def test_what_is_no_table_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f"{text}\n")
    with pytest.raises(HilumError, match=said):
        recipes.load_recipe(str(path), quick=True)
