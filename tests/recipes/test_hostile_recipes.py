"""Recipes whose texts are programs: kept as texts, or refused; nothing of them is run (E-20)."""

import json
import tomllib
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from hilum import recipes
from hilum.types import HilumError

PROGRAMS = {
    "Python": "__import__('os').mkdir({folder!r})",
    "f-string": "{{__import__('os').mkdir({folder!r})}}",
    "format": "{{0.__class__.__init__.__globals__}}",
    "shell": "$(mkdir {folder})",
    "backticks": "`mkdir {folder}`; mkdir {folder} | mkdir {folder}",
    "Jinja": "{{{{ cycler.__init__.__globals__.os.mkdir({folder!r}) }}}}",
    "YAML": "!!python/object/apply:os.mkdir [{folder!r}]",
    "environment": "%(HOME)s $HOME ${{HOME}} ~",
}
# Where a recipe has a text, and how the text is written there.
PLACES = {
    "title": "title = {text}",
    "cost": "cost = {text}",
    "limits": "limits = [{text}]",
    "classes": 'classes = [{text}, "normal"]',
    "paper": "[paper]\ntitle = {text}\nauthors = {text}",
    "published": '[[published]]\nwhere = {text}\nname = "accuracy"\nvalue = 0.5',
    "labels": "[[data]]\npath = {text}\nkeep = {{label = [{text}]}}\nrename = {{{text} = {text}}}",
    "columns": "[[data]]\npath = {text}\ncolumns = {{label = {text}}}",
    "card": "[[data]]\ncard = {text}",
    "step": "[[prepare.steps]]\nstep = {text}",
    "parameter": '[[prepare.steps]]\nstep = "letterbox"\nfill = {text}',
    "backbone": "[model]\nbackbone = {text}",
    "head": "[model]\nhead = {text}",
    "weights": "[model]\nweights = {text}",
    "layers": "[[train.stages]]\ntrainable = {text}",
    "frozen": "[train]\nfreeze = [{text}]",
    "optimiser": "[[train.stages]]\noptimiser = {text}",
    "grid": "[grid]\n{text} = [1]",
    "arms": "[arms.{text}]\nseeds = [1]",
    "tasks": "[tasks.{text}]\ntitle = {text}",
    "key": "{text} = 1",
}
START = 'name = "mine"\n'
DATA = "\n[[data]]\nphantom = {images = 8, size = 32}\n"


def recipe(place: str, text: str) -> str:
    """TOML with the text at one place."""
    written = PLACES[place].format(text=json.dumps(text))
    top = not written.startswith("[")
    data = "" if written.startswith("[[data]]") else DATA
    return START + (f"{written}\n{data}" if top else f"{data}{written}\n")


@pytest.mark.parametrize("place", PLACES)
def test_a_program_in_a_recipe_stays_text(place: str, tmp_path: Path) -> None:
    folder, file = tmp_path / "made", tmp_path / "mine.toml"
    for program in PROGRAMS.values():
        text = program.format(folder=str(folder))
        file.write_text(recipe(place, text), encoding="utf-8")
        tomllib.loads(file.read_text("utf-8"))  # whatever follows, TOML is not at fault
        refusal = _kept_or_refused(file, text)
        assert "\n" not in refusal
        assert not folder.exists(), text


def _kept_or_refused(file: Path, text: str) -> str:
    """The sentence of a refusal; "" for a recipe that has the text, written and read again too."""
    try:
        read = recipes.load_recipe(str(file))
        again = recipes.load_recipe(str(_written(read, file.parent)))
    except HilumError as error:
        return str(error)
    found = texts(read.model_dump(by_alias=True))
    assert text in found
    assert texts(again.model_dump(by_alias=True)) == found
    return ""


def test_all_places_and_programs() -> None:
    assert len(list(product(PLACES, PROGRAMS))) >= 150


def test_places_that_hold_any_text_keep_it(tmp_path: Path) -> None:
    """The test above would pass if every recipe were refused."""
    file, free = tmp_path / "mine.toml", set()
    for place in PLACES:
        file.write_text(recipe(place, "a word"), encoding="utf-8")
        with suppress(HilumError):
            recipes.load_recipe(str(file))
            free.add(place)
    assert {"title", "cost", "limits", "classes", "paper", "published", "labels"} <= free


def _written(read: recipes.Recipe, folder: Path) -> Path:
    path = folder / "again.toml"
    path.write_text(recipes.as_toml(read), encoding="utf-8")
    return path


def texts(tree: Any) -> list[str]:
    """Every text in a tree of tables and lists, keys too."""
    if isinstance(tree, str):
        return [tree]
    if isinstance(tree, dict):
        return sorted(t for item in tree.items() for part in item for t in texts(part))
    if isinstance(tree, list | tuple):
        return sorted(t for item in tree for t in texts(item))
    return []
