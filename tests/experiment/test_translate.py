"""A stage's words as freezing rules."""

import pytest

from hilum import recipes
from hilum.experiment import schema_to_training
from hilum.experiment.schema_to_training import freezing_rules
from hilum.models import backbones, freezing, networks
from hilum.types import HilumError

CARD = backbones.backbone_card("tf_efficientnet_lite0")
NAMES = [f"net.{name}" for name, _ in networks.outline(CARD).named_parameters()]


def trained(*words: object) -> set[str]:
    actions = freezing.resolve([*NAMES, "head"], freezing_rules(CARD, *words))  # type: ignore[arg-type]
    return {name for name, action in actions.items() if action == "train"}


def test_first_stages_stay_and_the_rest_trains() -> None:
    stay = ("net.conv_stem", "net.bn1", "net.blocks.0.", "net.blocks.1.")
    expected = {name for name in [*NAMES, "head"] if not name.startswith(stay)}
    assert trained("all", 1, 3, ()) == expected
    assert trained("all", 1, 0, ()) == {*NAMES, "head"}
    assert trained("all", 1, len(CARD.stages), ()) == {"head"} == trained("head", 1, 0, ())
    assert trained("last", len(CARD.stages) - 3, 0, ()) == expected


def test_more_first_stages_than_there_are_is_refused() -> None:
    with pytest.raises(HilumError, match="9 stages"):
        freezing_rules(CARD, "all", 1, 10, ())


def test_what_any_stage_trained_is_trained_the_sources_too() -> None:
    backbone = backbones.build_backbone(CARD.name, "random")
    plan = recipes.load_recipe("zhang2022", changes=["model.backbone=tf_efficientnet_lite0"])
    cells = recipes.cells(plan)
    stay = ("net.conv_stem", "net.bn1", "net.blocks.0.", "net.blocks.1.")
    found = schema_to_training.trained_parameters(
        cells["transfer_head"], backbone
    )  # its source trains all but three
    assert {name for name in found if name.startswith(stay)} == {
        name for name, action in found.items() if action == "freeze"
    }
    frozen = schema_to_training.trained_parameters(cells["frozen"], backbone)
    assert set(frozen.values()) == {"freeze"}
