"""Departures from a paper's settings: found by comparing, not written by hand for a study."""

from pathlib import Path

import pytest

from hilum import recipes
from hilum.experiment import replication

MINE = """
name = "mine"
classes = ["covid19", "normal"]
[[data]]
card = "cohen"
keep = { label = ["covid19"] }
take = { covid19 = 100 }
[[data]]
card = "kermany"
keep = { label = ["normal"] }
take = { normal = 300 }
[model]
backbone = "resnet18"
[modes.published.split]
group = "image"
[quick.model]
backbone = "tf_efficientnet_lite0"
[[published]]
where = "Table 2"
name = "accuracy"
value = 0.98
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return str(path)


def keys(plan: recipes.Recipe) -> dict[str, str]:
    return {".".join(row.key): row.because for row in plan.departures}


def test_the_published_mode_departs_from_nothing(mine: str) -> None:
    plan = recipes.load_recipe(mine, "published")
    assert plan.departures == []
    assert replication.replication_sentence(plan) == ""
    for name in recipes.recipe_names():
        assert recipes.load_recipe(name, "published").departures == []


def test_each_departure_has_its_cause(mine: str) -> None:
    plan = recipes.load_recipe(mine, "corrected", quick=True, changes=["split.folds=3"])
    assert keys(plan) == {
        "mode": "mode corrected",
        "split.group": "mode corrected",
        "model.backbone": "--quick",
        "split.folds": "--set split.folds",
    }
    over = recipes.load_recipe(mine, "published", quick=True, changes=["model.backbone=vgg16"])
    assert keys(over) == {"model.backbone": "--set model.backbone"}
    back = recipes.load_recipe(mine, "published", quick=True, changes=["model.backbone=resnet18"])
    assert back.departures == []


def test_the_sentence_says_network_images_mode_and_why(mine: str) -> None:
    quick = replication.replication_sentence(recipes.load_recipe(mine, "published", quick=True))
    assert quick == "Not a replication: network ResNet18 → EfficientNet-Lite0, because of --quick."
    corrected = replication.replication_sentence(recipes.load_recipe(mine, "corrected"))
    assert corrected.startswith("Not a replication: mode published → corrected, because of mode")
    assert "split.group" in corrected
    fewer = MINE.replace("covid19 = 100", "covid19 = 60")
    data = fewer[fewer.index("card") : fewer.index("[model]")].replace("[[data]]", "").split("card")
    rows = ", ".join("{card" + ", ".join(part.strip().splitlines()) + "}" for part in data if part)
    said = replication.replication_sentence(
        recipes.load_recipe(mine, "published", changes=[f"data=[{rows}]"])
    )
    assert "100 COVID-19" in said
    assert "→ 60 COVID-19" in said
    assert "because of --set data" in said


def test_a_set_that_stands_in_is_named_for_the_class_it_stands_in_for() -> None:
    said = replication.replication_sentence(
        recipes.load_recipe("yamani2021", "published", quick=True)
    )
    assert "network ResNet18 → EfficientNet-Lite0" in said
    assert "not COVID-19 images: COVID-Xray-5k" in said
    assert "→ NIH ChestX-ray14" in said
    assert said.count("because of --quick") == 1


def test_a_stored_recipe_still_says_it(mine: str, tmp_path: Path) -> None:
    plan = recipes.load_recipe(mine, "corrected", quick=True)
    stored = tmp_path / "stored.toml"
    stored.write_text(recipes.as_toml(plan))
    again = recipes.load_recipe(str(stored))
    assert again == plan
    assert recipes.reference(again).model.backbone == "resnet18"
    changed = recipes.load_recipe(str(stored), changes=["model.backbone=resnet18"])
    assert "model.backbone" not in keys(changed)


def test_an_edited_copy_of_a_study_is_compared_with_the_study(tmp_path: Path) -> None:
    stored = tmp_path / "copy.toml"
    text = recipes.as_toml(recipes.load_recipe("yamani2021", "published"))
    stored.write_text(text)
    assert recipes.load_recipe(str(stored)).departures == []
    stored.write_text(text.replace('backbone = "resnet18"', 'backbone = "vgg16"'))
    edited = recipes.load_recipe(str(stored))
    assert keys(edited) == {"model.backbone": "an edited recipe"}
    assert replication.replication_sentence(edited) == (
        "Not a replication: network ResNet18 → VGG16, because of an edited recipe."
    )


def test_without_published_numbers_there_is_nothing_to_replicate() -> None:
    plan = recipes.load_recipe("within_cohen", changes=["model.backbone=vgg16"])
    assert plan.departures == []
    assert replication.departure_rows(plan) == []


def test_weights_are_named_without_their_folder(mine: str) -> None:
    plan = recipes.load_recipe(
        mine, "published", changes=["model.weights='/home/jane/w.safetensors'"]
    )
    assert "weights imagenet → w.safetensors" in replication.replication_sentence(plan)
    (row,) = replication.departure_rows(plan)
    assert (row["paper"], row["ran"]) == ("imagenet", "w.safetensors")
