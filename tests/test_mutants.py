"""The counting of mutants: what counts as one, and whether those answered are still there."""

import json
import tomllib
from pathlib import Path

import pytest

import mutation_tests

BEFORE = """
def f(x, y):
    'Words.'
    if x < 1:
        raise E(f"{x}", x)
    return g(x, z="a")
"""


@pytest.mark.parametrize(
    ("was", "becomes", "counts"),
    [
        ("x < 1", "x <= 1", True),
        ("x < 1", "x < 2", True),
        ('g(x, z="a")', "g(x)", True),
        ('z="a"', 'z="XXaXX"', False),
        ('E(f"{x}", x)', "E(x)", False),
        ("g(x,", "g(None,", False),
    ],
)
def test_words_and_none_do_not_count(was: str, becomes: str, counts: bool) -> None:
    assert was in BEFORE
    assert mutation_tests._counts(BEFORE, BEFORE.replace(was, becomes)) == counts


def test_the_strictness_of_zip_does_not_count() -> None:
    before = "def f(x, y):\n    return list(zip(x, y, strict=True))"
    for becomes in ("strict=False", ""):
        assert not mutation_tests._counts(before, before.replace("strict=True", becomes))
    assert mutation_tests._counts(before, before.replace("x, y, s", "x, x, s"))


def test_mutants_that_took_too_long_count_neither_way(tmp_path: Path) -> None:
    codes = {"a.x": 1, "a.y": 0, "a.z": -24, "a.w": 36}
    record = tmp_path / "mutants" / "src" / "hilum" / "a.py.meta"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"exit_code_by_key": codes}))
    mutants = dict.fromkeys(codes, ("was", "is"))
    module = Path("src/hilum/a.py")
    count = mutation_tests._count(tmp_path, module, mutants, list(codes), set())
    assert count.late == ["z", "w"]
    assert count.share == 50.0
    assert "1 noticed, 0 equivalent, 1 survived, 2 took too long" in mutation_tests._words(count)


def test_every_answered_mutant_is_of_a_line_that_is_there() -> None:
    rows = tomllib.loads(mutation_tests.ANSWERED.read_text(encoding="utf-8"))["mutant"]
    assert len(rows) == len(mutation_tests.answered_mutants())
    for row in rows:
        source = Path(mutation_tests.ROOT, "src/hilum", row["module"]).read_text(encoding="utf-8")
        assert row["was"] in " ".join(line.strip() for line in source.splitlines())
        assert row["becomes"] != row["was"]
        assert row["why"]


@pytest.mark.parametrize("name", mutation_tests.GROUPS)
def test_every_group_has_modules_and_tests(name: str) -> None:
    group = mutation_tests.GROUPS[name]
    assert len(mutation_tests.modules_of(group)) >= len(group.modules)
    for path in group.tests:
        assert (mutation_tests.ROOT / path.removeprefix("--ignore=")).exists()
