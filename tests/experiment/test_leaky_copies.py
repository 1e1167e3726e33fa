"""Study 000's leak (S0-09): images are augmented before they are split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum import experiment, recipes
from hilum.experiment import splits, synthetic_images
from hilum.experiment.cell_context import CellContext, FoldKey
from hilum.recipes import Mode
from hilum.training.batches import PartIndices
from hilum.types import HilumError, Manifest, Pixels, Results, Split

pytestmark = pytest.mark.usefixtures("few_audits", "no_report")


def silent(name: str):
    return lambda done, total: None


def ran(out: Path, mode: Mode, *changes: str) -> Results:
    """60 films in which nothing tells the classes apart: an honest test finds chance."""
    nothing = 'phantom={images=60, size=96, seed=3, classes=["covid19","normal"], signal=0}'
    plan = recipes.load_recipe(
        "demo",
        mode,
        changes=[
            'classes=["covid19","normal"]',
            f"data=[{{{nothing}}}]",
            'split={kind="kfold", folds=2}',
            "train.balance=none",
            "augment.views=0",
            "prepare.side=64",
            "model.mirror=false",
            "figures=[]",
            *changes,
        ],
    )
    return experiment.run_recipe(plan, None, out, silent)


def accuracy(results: Results) -> float:
    (found,) = (s.value for s in results.scores if (s.name, s.class_) == ("accuracy", "overall"))
    return found


COPIES = "train.copies={times=3, before_split=%s, ranges={rotation=10, zoom=0.05}}"


@pytest.mark.parametrize("before", [False, True])
def test_copies_are_of_training_images_or_of_all(before: bool) -> None:
    plan = recipes.load_recipe("demo", "published", changes=[COPIES % str(before).lower()])
    names = tuple(f"film{i}" for i in range(8))
    table = pd.DataFrame({"sample_id": names, "label": ["covid19", "normal"] * 4})
    stack = np.random.default_rng(0).integers(0, 256, (8, 32, 32), np.uint8)
    labels = np.arange(8) % 2
    bench = CellContext(
        plan, ["covid19", "normal"], Manifest(table, (), ()), Pixels(stack, names, "digest"),
        None, None, "unit", None, silent, labels,  # type: ignore[arg-type]
    )  # fmt: skip
    parts = PartIndices(np.arange(4), np.array([4, 5]), labels, test=np.array([6, 7]))
    grown, enlarged = synthetic_images.add_synthetic_images(bench, parts, FoldKey("main", 0, 0))
    made = [grown.pixels.sample_ids[row] for row in enlarged.train[4:]]
    copied = names if before else names[:4]
    assert sorted(made) == sorted(f"{name}#copy{i}" for name in copied for i in (1, 2))
    assert (enlarged.test == parts.test).all()
    part = ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    split = pd.DataFrame({"sample_id": names, "fold": 0, "part": part})
    leaks = splits.leaks_of_copies(Split(split, "holdout", "image", 0, ()), plan)
    assert [leak.second for leak in leaks] == (list(names[4:]) if before else [])


@pytest.mark.slow
def test_copies_made_before_the_split_find_what_is_not_there(tmp_path: Path) -> None:
    honest = ran(tmp_path / "after", "published", COPIES % "false")
    leaky = ran(tmp_path / "before", "published", COPIES % "true")
    assert abs(accuracy(honest) - 0.5) < 0.15
    assert accuracy(leaky) > accuracy(honest) + 0.25
    states = [{f.id: f.status for f in r.audits}["C-11"] for r in (honest, leaky)]
    assert states == ["pass", "fail"]
    split = pd.read_csv(tmp_path / "before" / "splits.csv")
    others = split[split["part"] != "train"]
    found = {(row["fold"], row["second"]) for row in leaky.split["leaks"]}
    assert found == set(zip(others["fold"], others["sample_id"], strict=True))
    assert {row["kind"] for row in leaky.split["leaks"]} == {"augmented copy"}


def test_the_leak_is_refused_where_corrected(tmp_path: Path) -> None:
    with pytest.raises(HilumError, match=r"'train\.copies'.*only a published mode may make them"):
        ran(tmp_path, "corrected", COPIES % "true")


def test_study_000_asks_what_its_leak_is_worth_where_published_alone() -> None:
    name = "copied_before_split"
    published, corrected, quick = (
        recipes.load_recipe("elazhari2022", *how)
        for how in (("published",), ("corrected",), ("published", True))
    )
    copies = recipes.tasks(published)[name].train.copies
    assert copies is not None
    assert copies.before_split
    assert all(plan.train.copies is None for plan in (published, corrected, quick))
    assert name not in recipes.tasks(corrected)
    assert name not in recipes.tasks(quick)
