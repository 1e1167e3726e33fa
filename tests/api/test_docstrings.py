"""Every public object has an example in its docstring, and it runs."""

import doctest
from pathlib import Path

import pytest

import hilum

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
CONSTANTS = {"NOTICE"}  # whose example is that of the package


def example(name: str) -> doctest.DocTest:
    """The example of a public object, as one test."""
    owner = hilum if name in CONSTANTS else getattr(hilum, name)
    return doctest.DocTestParser().get_doctest(owner.__doc__ or "", {}, name, None, None)


SLOW = {"export"}  # proves itself on 200 films by three engines


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in hilum.__all__],
)
def test_the_example_of_every_name_runs(name: str, at_home: Path) -> None:
    test = example(name)
    assert test.examples, f"hilum.{name} has no example in its docstring"
    assert any("hilum." in one.source for one in test.examples)
    assert not any(doctest.SKIP in one.options for one in test.examples)
    said: list[str] = []
    done = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append)
    assert done.failed == 0, "".join(said)
