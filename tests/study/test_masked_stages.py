"""Study 003 with lungs kept in both stages, in the target only, or in the source only."""

import pytest

from hilum import recipe
from hilum.study import source

KEPT = '[{step="keep_lungs"},{step="letterbox"}]'


@pytest.mark.parametrize(
    ("changes", "target", "first"),
    [
        ((), False, False),
        ((f"prepare.steps={KEPT}",), True, True),
        ((f"prepare.steps={KEPT}", 'source.prepare.steps=[{step="letterbox"}]'), True, False),
        ((f"source.prepare.steps={KEPT}",), False, True),
    ],
)
def test_either_stage_can_be_masked(changes: tuple[str, ...], target: bool, first: bool) -> None:
    plan = recipe.load("zhang2022", changes=changes)
    assert plan.source is not None
    own = source.as_recipe(plan, plan.source)
    masked = [bool("keep_lungs" in str(one.prepare.steps)) for one in (plan, own)]
    assert masked == [target, first]
