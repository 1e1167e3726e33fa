"""A server says that films are of a new source: large requests at once, small ones by thirties."""

from types import SimpleNamespace

import numpy as np
import pytest

from hilum.inference import new_source
from hilum.serve.source_watch import BLOCK, SourceWatch


@pytest.fixture(scope="module")
def sources() -> new_source.SourceReference:
    random = np.random.default_rng(0)
    basis, known = (random.normal(size=(80, 12)).astype(np.float32) for _ in range(2))
    groups = [("here", "covid19"), ("here", "normal")] * 40
    return new_source.fit_reference(basis, known, groups, [str(i) for i in range(80)])


def points(sources: new_source.SourceReference, count: int, shift: float) -> list[np.ndarray]:
    table = np.random.default_rng(5).normal(shift, 1, size=(count, 12)).astype(np.float32)
    return list(sources.project(table)[:, None])


def test_small_requests_are_judged_together(sources: new_source.SourceReference) -> None:
    watch = SourceWatch(SimpleNamespace(sources=sources))  # type: ignore[arg-type]
    assert watch.judge(points(sources, 12, 2.0)).state == "yes"  # at once, and by itself
    strange = points(sources, BLOCK, 2.0)
    early = [watch.judge([point]).state for point in strange]
    assert early == ["not checked"] * (BLOCK - 1) + ["yes"]
    assert watch.judge(points(sources, 1, 0.0)).state == "yes"  # holds until the next thirty
    usual = points(sources, BLOCK, 0.0)
    assert [watch.judge([point]).state for point in usual][-1] == "no"  # the first is known
    assert watch.judge([]).state == "no"


def test_a_film_that_is_sent_again_and_again_counts_once(
    sources: new_source.SourceReference,
) -> None:
    watch = SourceWatch(SimpleNamespace(sources=sources))  # type: ignore[arg-type]
    (film,) = points(sources, 1, 2.0)
    assert {watch.judge([film]).state for _ in range(2 * BLOCK)} == {"not checked"}
    assert watch.judge([film] * BLOCK).images == 1


def test_a_model_without_sources_is_not_checked() -> None:
    watch = SourceWatch(SimpleNamespace(sources=new_source.EARLIER))  # type: ignore[arg-type]
    assert (
        watch.judge([np.zeros((1, 0), np.float32)] * 40)
        .finding("These films")
        .startswith("Not checked: whether these films come from a source of training.")
    )
