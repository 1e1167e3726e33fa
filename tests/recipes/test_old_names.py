"""Old names of a recipe's keys: read wherever a key may stand, written by their new names."""

from pathlib import Path

import pytest

from hilum import recipes
from hilum.experiment import checkpoints
from hilum.experiment.run_basis import ChangedError
from hilum.recipes import Recipe
from hilum.recipes.old_names import NEW_NAMES, new_key, with_new_names
from hilum.types import HilumError

SOURCE = 'classes = ["a", "b"]\ndata = [{ phantom = { images = 8 } }]\n'
# the new key by its dots -> (what its table needs as well, a value)
EXAMPLES = {
    "source_task": ("", '{ classes = ["a", "b"], data = [{ phantom = { images = 8 } }] }'),
    "source_task.exclude_target": (SOURCE, "false"),
    "external_tests": ("", "[{ phantom = { images = 4 } }]"),
    "model.auxiliary_backbones": ("", '["resnet18"]'),
}
BASE = 'name = "mine"\ndata = [{ phantom = { images = 8 } }]\n'


def pairs() -> list[tuple[str, str]]:
    """(old, new) of every row of the table, by their dots; what leads to a key has its old name."""
    before = {new: path[-1] for path, new in NEW_NAMES.items()}
    found = []
    for path, name in NEW_NAMES.items():
        old = ".".join([before.get(part, part) for part in path[:-1]] + [path[-1]])
        found.append((old, ".".join([*path[:-1], name])))
    return found


PAIRS = pairs()
KEYS = pytest.mark.parametrize(("old", "new"), PAIRS)


def loaded(tmp_path: Path, text: str, *changes: str, quick: bool = False) -> Recipe:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return recipes.load_recipe(str(path), quick=quick, changes=changes)


def written(key: str, prefix: str = "") -> str:
    """One key of a file, with what it needs beside it."""
    table, _, name = f"{prefix}{key}".rpartition(".")
    needed, value = EXAMPLES[new_key(key)]
    return (f"[{table}]\n" if table else "") + f"{needed}{name} = {value}\n"


def test_every_row_has_an_example() -> None:
    assert [new for _, new in PAIRS] == list(EXAMPLES)
    assert len(PAIRS) == 4
    for old, new in PAIRS:
        assert new_key(old) == new
        assert new_key(new) == new


@KEYS
def test_a_file_by_old_names_is_the_same_recipe(tmp_path: Path, old: str, new: str) -> None:
    one, other = (loaded(tmp_path, BASE + written(key)) for key in (old, new))
    assert one == other != loaded(tmp_path, BASE)
    text = recipes.as_toml(one)
    assert f"{new.rpartition('.')[2]}" in text
    assert f"\n{old.rpartition('.')[2]} = " not in text
    assert "[source]" not in text
    assert loaded(tmp_path, text) == one


@KEYS
@pytest.mark.parametrize("layer", ["quick", "modes.corrected", "tasks.more", "arms.more"])
def test_a_layer_may_have_either(tmp_path: Path, layer: str, old: str, new: str) -> None:
    if layer == "arms.more" and new == "external_tests":
        with pytest.raises(HilumError, match="make it a task"):
            loaded(tmp_path, BASE + written(old, f"{layer}."))
        return
    laid = [loaded(tmp_path, BASE + written(key, f"{layer}."), quick=True) for key in (old, new)]
    assert laid[0] == laid[1] != loaded(tmp_path, BASE)


@KEYS
def test_set_takes_either_over_a_file_of_either(tmp_path: Path, old: str, new: str) -> None:
    value = (
        "true"
        if EXAMPLES[new][1] == "false"
        else "[]"
        if "[" in EXAMPLES[new][1][0]
        else EXAMPLES[new][1]
    )
    found = [
        loaded(tmp_path, BASE + written(file), f"{change}={value}")
        for file in (old, new)
        for change in (old, new)
    ]
    assert found == [found[0]] * 4
    assert new == "source_task" or found[0] != loaded(tmp_path, BASE + written(new))


@KEYS
def test_both_at_once_are_refused(tmp_path: Path, old: str, new: str) -> None:
    name = new.rpartition(".")[2]
    value = EXAMPLES[new][1]
    text = BASE + written(old) + f"{name} = {value}\n"
    with pytest.raises(HilumError, match=f"{name}' are the old and the new name of one setting"):
        loaded(tmp_path, text)


def test_an_axis_of_the_grid_keeps_the_name_of_its_cells(tmp_path: Path) -> None:
    axis = '[grid]\n"model.{}" = [[], ["resnet18"]]\n'
    old, new = (
        recipes.cells(loaded(tmp_path, BASE + axis.format(key)))
        for key in ("beside", "auxiliary_backbones")
    )
    assert list(old) == ["beside=", "beside=resnet18"]
    assert list(new) == ["auxiliary_backbones=", "auxiliary_backbones=resnet18"]
    assert [c.model for c in old.values()] == [c.model for c in new.values()]
    both = axis.format("beside") + '"model.auxiliary_backbones" = [[]]\n'
    with pytest.raises(HilumError, match="by its old and its new name"):
        loaded(tmp_path, BASE + both)
    whole = '[grid]\nmodel = [{ backbone = "resnet18", beside = ["resnet50"] }]\n'
    (cell,) = recipes.cells(loaded(tmp_path, BASE + whole)).values()
    assert cell.model.auxiliary_backbones == ["resnet50"]


def test_departures_of_a_stored_recipe_are_found_by_the_new_names() -> None:
    tree = {
        "departures": [
            {"key": ["source", "apart"], "paper": False},
            {"key": ["arms", "one", "source"], "paper": {"apart": True}},
            {"key": ["later"], "because": "--set later"},
        ],
        "unspecified_in_paper": ["later", "split"],
    }
    assert with_new_names(tree) == {
        "departures": [
            {"key": ["source_task", "exclude_target"], "paper": False},
            {"key": ["arms", "one", "source_task"], "paper": {"exclude_target": True}},
            {"key": ["external_tests"], "because": "--set later"},
        ],
        "unspecified_in_paper": ["external_tests", "split"],
    }


def test_a_class_or_a_column_of_an_old_name_stays() -> None:
    tree = {
        "data": [{"columns": {"source": "site"}, "rename": {"later": "b"}}],
        "arms": {"apart": {}},
    }
    assert with_new_names(tree) == tree


def test_built_in_recipes_and_what_is_shown_have_new_names_alone() -> None:
    for name in recipes.recipe_names():
        lines = recipes.as_toml(recipes.load_recipe(name)).splitlines()
        old = ("[source", "[[source.", "[[later", "beside = ", "apart = ")
        kept = ("[source_task",)
        assert not [line for line in lines if line.startswith(old) and not line.startswith(kept)]


def test_folds_of_a_recipe_by_old_names_go_on(tmp_path: Path) -> None:
    plan = loaded(tmp_path, BASE + written("source.apart") + written("model.beside"))
    text = recipes.as_toml(plan)
    for new, old in (("source_task", "source"), ("exclude_target", "apart"),
                     ("auxiliary_backbones", "beside"), ("external_tests", "later")):  # fmt: skip
        text = text.replace(new, old)
    mark = tmp_path / "out" / "work" / "recipe.toml"
    mark.parent.mkdir(parents=True)
    mark.write_text(text)
    checkpoints.require_recipe(tmp_path / "out", plan)
    other = plan.model_copy(update={"seeds": [1]})
    with pytest.raises(ChangedError, match="--resume needs the recipe"):
        checkpoints.require_recipe(tmp_path / "out", other)
    mark.write_text("no TOML")
    with pytest.raises(ChangedError, match="--resume needs the recipe"):
        checkpoints.require_recipe(tmp_path / "out", plan)
