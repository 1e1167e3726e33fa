"""Arms and tasks: named, laid over the recipe, switched, refused with the key that is wrong."""

from pathlib import Path

import pytest

from hilum import recipes
from hilum.types import HilumError

ARMS = "arms={frozen={model={head='linear'}}, wide={model={head='mlp', hidden=8}}}"
GRID = 'grid={"model.backbone"=["resnet18", "resnet50"]}'


def test_arms_times_grid_are_the_cells_and_the_arm_leads_the_name() -> None:
    found = recipes.cells(recipes.load_recipe("demo", changes=[ARMS, GRID]))
    assert list(found) == [
        "frozen,backbone=resnet18", "frozen,backbone=resnet50",
        "wide,backbone=resnet18", "wide,backbone=resnet50",
    ]  # fmt: skip
    wide = found["wide,backbone=resnet50"]
    assert (wide.model.backbone, wide.model.head, wide.model.hidden) == ("resnet50", "mlp", 8)
    assert not any(cell.arms or cell.grid or cell.tasks for cell in found.values())
    assert list(recipes.cells(recipes.load_recipe("demo", changes=[ARMS]))) == ["frozen", "wide"]
    assert list(recipes.cells(recipes.load_recipe("demo"))) == ["main"]


def test_an_arm_may_stand_on_axes_of_its_own_and_an_empty_axis_is_none() -> None:
    """Points that are no product: each arm's name says where it lies, as a grid's cell does."""
    arms = "arms={'kept=0'={}, 'kept=1,way=all but one'={model={head='mlp'}}}"
    found = recipes.cells(
        recipes.load_recipe("demo", changes=[arms, GRID.replace('"resnet18", "resnet50"', "")])
    )
    assert list(found) == ["kept=0", "kept=1,way=all but one"]
    crossed = recipes.cells(recipes.load_recipe("demo", changes=[arms, GRID]))
    assert list(crossed)[2] == "kept=1,way=all but one,backbone=resnet18"
    assert crossed["kept=1,way=all but one,backbone=resnet18"].model.head == "mlp"
    for name in ("kept=", "=1", "kept=1,2", "kept=1,", "a: b=1"):
        with pytest.raises(HilumError, match="letters, digits"):
            recipes.load_recipe("demo", changes=[f"arms={{'{name}'={{}}}}"])
    with pytest.raises(HilumError, match=r"letters, digits.*got 'kept=1'"):  # it names a folder
        recipes.load_recipe("demo", changes=["tasks={'kept=1'={}}"])


def test_arms_lay_tables_over_and_replace_lists(tmp_path: Path) -> None:
    changes = ["arms={short={train={stages=[{epochs=3}]}}, same={}}", "train.balance=none"]
    loaded = recipes.load_recipe("demo", changes=changes)
    found = recipes.cells(loaded)
    assert [stage.epochs for stage in found["short"].train.stages] == [3]
    assert found["short"].train.balance == "none"
    assert found["same"] == recipes.cells(recipes.load_recipe("demo", changes=changes[1:]))["main"]
    (tmp_path / "again.toml").write_text(recipes.as_toml(loaded))
    assert recipes.load_recipe(str(tmp_path / "again.toml")) == loaded


def test_a_mode_and_quick_and_set_may_switch_arms_and_tasks(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        """
        name = "mine"
        data = [{ phantom = { images = 8 } }]
        [arms.a]
        [arms.b]
        [tasks.other.split]
        test = 0.3
        [quick.arms.b]
        enabled = false
        [modes.published.arms.b.model]
        mirror = false
        [quick.tasks.other]
        enabled = false
        """
    )
    name = str(tmp_path / "mine.toml")
    assert list(recipes.cells(recipes.load_recipe(name, quick=True))) == ["a"]
    assert recipes.tasks(recipes.load_recipe(name, quick=True)) == {}
    back = recipes.load_recipe(name, quick=True, changes=["arms.b.enabled=true"])
    assert list(recipes.cells(back)) == ["a", "b"]
    published = recipes.cells(recipes.load_recipe(name, "published"))
    assert [cell.model.mirror for cell in published.values()] == [True, False]
    assert recipes.tasks(recipes.load_recipe(name))["other"].split.test == 0.3
    assert (
        recipes.tasks(recipes.load_recipe(name, changes=["tasks.other.split.test=0.4"]))["other"]
        == (
            recipes.tasks(recipes.load_recipe(name, changes=["tasks.other={split={test=0.4}}"]))[
                "other"
            ]
        )
    )


def test_a_task_is_a_recipe_of_its_own_without_the_main_questions_numbers(tmp_path: Path) -> None:
    loaded = recipes.load_recipe("zhang2022", changes=["tasks.four_folds.split.folds=4"])
    task = recipes.tasks(loaded)["four_folds"]
    assert (task.name, task.title, task.split.folds) == ("zhang2022-four_folds", "four folds", 4)
    assert (task.published, task.tasks) == ([], {})
    assert (task.classes, task.arms) == (loaded.classes, loaded.arms)
    (tmp_path / "task.toml").write_text(recipes.as_toml(task))
    assert recipes.load_recipe(str(tmp_path / "task.toml")) == task


def test_study_003_has_four_arms_and_the_papers_three_class_question() -> None:
    """Spec S3-19: 255 / 234 / 200, and Table 4's accuracy; --quick trains heads alone."""
    whole, quick = recipes.load_recipe("zhang2022"), recipes.load_recipe("zhang2022", quick=True)
    task = recipes.tasks(whole)["three_classes"]
    assert task.classes == ["covid19", "normal", "pneumonia"]
    assert [item.take for item in task.data] == [{"covid19": 255}, {"pneumonia": 200}]
    assert [(n.name, n.class_, n.value) for n in task.published] == [("accuracy", "overall", 0.964)]
    assert list(recipes.cells(whole)) == list(recipes.cells(task))
    assert list(recipes.cells(whole)) == ["transfer", "transfer_head", "transfer_beside", "frozen"]
    for question in (quick, recipes.tasks(quick)["three_classes"]):
        found = recipes.cells(question)
        sources = {
            name: cell.source_task.enabled for name, cell in found.items() if cell.source_task
        }
        assert sources == {"transfer_head": True, "frozen": False}
        assert {s.trainable for cell in found.values() for s in cell.train.stages} == {"head"}
    transfer = recipes.cells(whole)["transfer"]
    assert transfer.train == whole.train
    assert transfer.source_task == whole.source_task
    assert list(recipes.cells(recipes.load_recipe("zhang2022", "published"))) == ["transfer"]
    published = recipes.load_recipe("zhang2022", "published", quick=True)
    assert list(recipes.cells(published)) == ["transfer_head"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("arms.a.model.backbon=x", r"'arms\.a\.model\.backbon' does not.*mean 'backbone'"),
        ("arms.a.modl.backbone=x", r"'arms\.a\.modl' does not exist; did you mean 'model'"),
        ("arms.a.split.folds=3", r"got 'arms\.a\.split'; make it a task: \[tasks\.NAME\]"),
        ("arms.a.classes=['normal']", r"got 'arms\.a\.classes'; make it a task"),
        ("arms.a.prepare.side=64", r"got 'arms\.a\.prepare'; make it a task"),
        ("arms.a={enabled=false, model={head='mlp'}}", "have one that is enabled; got a, all"),
        (
            "arms.a={enabled='no', model={head='mlp'}}",
            r"arms\.a\.enabled must be true or false; got 'no'",
        ),
        ("arms.main.model.head=mlp", r"not main, source; got 'main'"),
        ("arms={'a,b'={}}", r"letters, digits, _ and -.*got 'a,b'"),
        ("tasks={'../x'={}}", r"letters, digits, _ and -.*got '\.\./x'"),
        ("tasks.t.splitt.folds=3", r"'tasks\.t\.splitt' does not exist; did you mean 'split'"),
        ("tasks.t.split.folds=1", r"'tasks\.t\.split\.folds'.*equal to 2; got 1"),
        ("tasks.t.arms.a.model.heed=x", r"'tasks\.t\.arms\.a\.model\.heed' does not exist"),
        ("tasks.t.tasks.u.mode=x", r"a task cannot have tasks; got 'tasks\.t\.tasks'"),
        ("arms=3", r"'arms'.*got 3"),
    ],
)
def test_what_is_wrong_with_an_arm_or_a_task_is_said(change: str, sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        recipes.load_recipe("demo", changes=[change])


def test_a_task_may_not_be_called_like_an_arm_and_a_slip_switches_nothing() -> None:
    with pytest.raises(HilumError, match="got 'frozen'; choose another"):
        recipes.load_recipe("demo", changes=[ARMS, "tasks.frozen.split.folds=3"])
    with pytest.raises(HilumError, match=r"arms\.frosen is switched.*did you mean 'frozen'"):
        recipes.load_recipe("demo", changes=[ARMS, "arms.frosen.enabled=false"])
    with pytest.raises(HilumError, match=r"tasks\.x is switched.*there are none"):
        recipes.load_recipe("demo", changes=["tasks.x.enabled=false"])


def test_an_arm_that_is_switched_off_is_still_checked() -> None:
    with pytest.raises(HilumError, match=r"'arms\.b\.model\.hed' does not exist"):
        recipes.load_recipe("demo", changes=["arms={a={}, b={enabled=false, model={hed='x'}}}"])
