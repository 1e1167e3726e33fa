"""Study 003 with lungs kept in both stages, in the target only, or in the source only."""

import pytest

from hilum import recipes
from hilum.experiment import source_task

KEPT = '[{step="keep_lungs"},{step="letterbox"}]'


@pytest.mark.parametrize(
    ("changes", "target", "first"),
    [
        ((), False, False),
        ((f"prepare.steps={KEPT}",), True, True),
        ((f"prepare.steps={KEPT}", 'source_task.prepare.steps=[{step="letterbox"}]'), True, False),
        ((f"source_task.prepare.steps={KEPT}",), False, True),
    ],
)
def test_either_stage_can_be_masked(changes: tuple[str, ...], target: bool, first: bool) -> None:
    plan = recipes.load_recipe("zhang2022", changes=changes)
    assert plan.source_task is not None
    own = source_task.as_recipe(plan, plan.source_task)
    masked = [bool("keep_lungs" in str(one.prepare.steps)) for one in (plan, own)]
    assert masked == [target, first]


@pytest.mark.parametrize(
    ("task", "target", "first"),
    [
        ("lungs_in_both", "keep_lungs", "keep_lungs"),
        ("lungs_in_target", "keep_lungs", "letterbox"),
        ("lungs_hidden", "hide_lungs", "letterbox"),
    ],
)
def test_study_003s_masked_tasks_are_off_until_they_are_asked_for(
    task: str, target: str, first: str
) -> None:
    for quick in (False, True):
        assert task not in recipes.tasks(recipes.load_recipe("zhang2022", quick=quick))
    plan = recipes.load_recipe("zhang2022", changes=(f"tasks.{task}.enabled=true",))
    asked = recipes.tasks(plan)[task]
    assert asked.source_task is not None
    own = source_task.as_recipe(asked, asked.source_task)
    assert [one.prepare.steps[0]["step"] for one in (asked, own)] == [target, first]
    # the main question's source task is taken from the cache where only the target is masked
    assert plan.source_task is not None
    assert (own.prepare == source_task.as_recipe(plan, plan.source_task).prepare) == (
        first == "letterbox"
    )
