"""The series of all counts: a line for each property, and what has passed is not counted again."""

import re
from pathlib import Path

import pytest

import reliability
from reliability import FAILED, PASSED, SKIPPED, Counted, Property

ROWS = re.compile(r"^\| (E-\d\d) \|", re.MULTILINE)
APART = {"E-02", "E-17", "E-26"}  # fuzzing, no addresses are taken, mutants


def test_every_property_of_the_page_is_counted_by_tests_that_are_there() -> None:
    page = Path(reliability.ROOT, "docs", "reliability.md").read_text(encoding="utf-8")
    assert {*ROWS.findall(page)} - APART == {*reliability.PROPERTIES} - {"node"}
    for name, row in reliability.PROPERTIES.items():
        for test in row.tests:
            path, _, function = test.partition("::")
            assert Path(reliability.ROOT, path).exists(), name
            assert function in Path(reliability.ROOT, path).read_text() if function else True


@pytest.mark.parametrize(
    ("code", "out", "errors", "outcome", "words"),
    [
        (
            0,
            "..s  [100%]\n",
            "\nruns: 3 kills\n",
            PASSED,
            "runs: 3 kills; tests: 2 passed, 1 skipped",
        ),
        (1, ".F [100%]\n=== FAILURES ===\nE  assert 1", "", FAILED, "tests: 1 passed, 1 failed"),
        (0, "s [100%]\nSKIPPED [1] x.py: no archive", "", SKIPPED, "tests: 1 skipped"),
        (5, "\n", "", FAILED, "tests: none"),
    ],
)
def test_what_pytest_said_is_one_line(
    code: int, out: str, errors: str, outcome: str, words: str
) -> None:
    counted = reliability.said(code, out, errors, 2.2)
    assert counted == Counted(outcome, f"{words}; 2 s")


def test_a_stopped_series_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = {"E-03": PASSED, "E-04": FAILED, "E-05": SKIPPED}
    asked: list[str] = []

    def count(row: Property, log: Path) -> Counted:
        asked.append(log.stem)
        return Counted(outcomes[log.stem], "words")

    monkeypatch.setattr(reliability, "KEPT", tmp_path)
    monkeypatch.setattr(reliability, "count", count)
    assert reliability.main([*outcomes]) == 1
    assert capsys.readouterr().out.splitlines()[0] == "E-03: bombs are refused: passed; words"
    assert reliability.main([*outcomes]) == 1
    assert "words (counted before)" in capsys.readouterr().out
    assert asked == [*outcomes, "E-04", "E-05"]
    assert reliability.main(["E-03", "--again"]) == 0
    monkeypatch.setattr(reliability, "code_digest", lambda: "of other code")
    assert reliability.main(["E-03"]) == 0
    assert asked[-2:] == ["E-03", "E-03"]


def test_the_digest_follows_every_file(tmp_path: Path) -> None:
    for name in ("src/a.py", "tests/b.py", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    seen = {reliability.code_digest(tmp_path)}
    for path in sorted(tmp_path.rglob("*.*")):
        path.write_text("2")
        seen.add(reliability.code_digest(tmp_path))
    assert len(seen) == 5
