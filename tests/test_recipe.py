"""Recipes: refused keys with the nearest named, modes laid over, TOML that reads back."""

from functools import reduce
from pathlib import Path

import pytest

from hilum import recipes
from hilum.types import CLASS_NAMES, HilumError


@pytest.mark.parametrize("mode", ["published", "corrected"])
@pytest.mark.parametrize("quick", [False, True])
def test_every_recipe_loads_in_every_mode_and_reads_back(
    tmp_path: Path, mode: recipes.Mode, quick: bool
) -> None:
    visited = 0
    for name in recipes.recipe_names():
        loaded = recipes.load_recipe(name, mode, quick)
        path = tmp_path / f"{name}.toml"
        path.write_text(recipes.as_toml(loaded))
        assert recipes.load_recipe(str(path)) == loaded
        assert set(loaded.classes) <= set(CLASS_NAMES)
        assert loaded.mode == mode
        for key in loaded.unspecified_in_paper:
            reduce(getattr, key.split("."), loaded)
        visited += 1
    assert visited == len(recipes.recipe_names()) >= 3


def test_published_numbers_of_study_003_are_the_papers() -> None:
    loaded = recipes.load_recipe("zhang2022")
    numbers = {(row.name, row.class_): row.value for row in loaded.published}
    assert len(loaded.published) == len(numbers) == 13
    # F1 follows from precision and recall; the paper's normal row is off by one unit (S3-22)
    for name in loaded.classes:
        p, r = numbers["precision", name], numbers["sensitivity", name]
        assert numbers["f1", name] == pytest.approx(2 * p * r / (p + r), abs=1.2e-4)


def test_modes_are_laid_over_the_base() -> None:
    published = recipes.load_recipe("zhang2022", "published")
    corrected = recipes.load_recipe("zhang2022", "corrected")
    assert published.train.stages[0].optimiser == "adam"
    assert corrected.train.stages[0].optimiser == "lbfgs"
    assert published.data == corrected.data


def test_changes_come_last_and_bare_words_are_strings() -> None:
    loaded = recipes.load_recipe("zhang2022", changes=["model.backbone=vgg16", "split.folds=3"])
    assert (loaded.model.backbone, loaded.split.folds) == ("vgg16", 3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("model.backbon=x", "'model.backbon' does not exist; did you mean 'backbone'"),
        ("modl.backbone=x", "'modl' does not exist; did you mean 'model'"),
        ("train.stages=[{epoch=3}]", "did you mean 'epochs'"),
        ("split.folds=1", "'split.folds'.*greater than or equal to 2; got 1"),
        ("split.kind=kfolds", "'split.kind'"),
        ("nonsense", "--set needs key=value"),
        ("data=[{card='cohen', path='x'}]", "exactly one of card, path, phantom"),
        ('train.stages=[{trainable="all"}]', "lbfgs fits a head only"),
    ],
)
def test_bad_changes_are_refused(change: str, sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        recipes.load_recipe("zhang2022", changes=[change])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = 'x'", "needs the key 'data'"),
        ("name = ", "not valid TOML"),
        ("name = 'x'\n[modes.corected]\n", "did you mean 'corrected'"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(HilumError, match=sentence):
        recipes.load_recipe(str(tmp_path / "mine.toml"))


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(HilumError, match="did you mean 'zhang2022'"):
        recipes.load_recipe("zang2022")
    with pytest.raises(HilumError, match="cannot be read"):
        recipes.load_recipe("nowhere.toml")


def test_grid_makes_one_cell_per_combination() -> None:
    loaded = recipes.load_recipe(
        "within_cohen",
        changes=['grid={"model.backbone"=["resnet18","vgg16"], "model.head"=["linear","mlp"]}'],
    )
    cells = recipes.cells(loaded)
    assert len(cells) == 4
    assert cells["backbone=vgg16,head=mlp"].model.backbone == "vgg16"
    assert all(not cell.grid for cell in cells.values())
    assert list(recipes.cells(recipes.load_recipe("within_cohen"))) == ["main"]


def test_grids_of_whole_tables_read_back(tmp_path: Path) -> None:
    changes = ['grid={"train.stages"=[[{}],[{optimiser="adam",stop={accuracy=0.9,loss=0.3}}]]}']
    loaded = recipes.load_recipe("demo", changes=changes)
    (tmp_path / "g.toml").write_text(recipes.as_toml(loaded))
    again = recipes.load_recipe(str(tmp_path / "g.toml"))
    assert recipes.cells(again) == recipes.cells(loaded)
    assert len(recipes.cells(again)) == 2


def test_cells_of_one_name_are_refused() -> None:
    twins = 'grid={"train.stages"=[[{name="a"}],[{name="a", epochs=7}]]}'
    with pytest.raises(HilumError, match="names of their own; got 'stages=a' twice"):
        recipes.cells(recipes.load_recipe("demo", changes=[twins]))
