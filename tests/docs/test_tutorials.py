"""Every tutorial: its blocks are sound (here), and it runs to its last line (slow)."""

import shutil
import tomllib
from pathlib import Path

import pytest
import tutorials
from tutorials import FOLDER, ROOT, Reader

PAGES = sorted(page.name for page in FOLDER.glob("*.md") if page.name != "index.md")
CLONE = "writing-an-audit.md"  # works in a copy of the repository, not in an empty folder
OF_CLONE = ("src", "tests", "docs", "examples", "pyproject.toml", "README.md")


def test_every_tutorial_is_in_the_index() -> None:
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    assert len(PAGES) >= 4
    assert all(f"]({page})" in index for page in PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_files_of_a_tutorial_are_sound(page: str, tmp_path: Path) -> None:
    """Scripts compile, recipes are TOML, and lines to be inserted have their place."""
    found = tutorials.blocks(FOLDER / page)
    assert any(block.action == "run" for block in found)
    assert any(block.action == "output" for block in found), "a reader sees what to expect"
    for block in found:
        if block.action == "save" and block.words.endswith(".py"):
            compile(block.text, block.words, "exec")
        elif block.action == "save" and block.words.endswith(".toml"):
            tomllib.loads(block.text)
        elif block.action == "insert":
            path = tmp_path / block.words
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                shutil.copy(ROOT / block.words, path)
            tutorials.insert(path, block.text, block.after)
            if path.suffix == ".py":
                compile(path.read_text(encoding="utf-8"), block.words, "exec")


def test_the_first_part_of_reviewing_a_paper_runs(tmp_path: Path) -> None:
    """What takes seconds; the rest is in the slow test below."""
    reader = Reader(tmp_path, {"PATH": tutorials.path_of_commands()})
    reader.follow(FOLDER / "reviewing-a-paper.md", "## Write the study down as a recipe")
    assert reader.outputs >= 3


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_runs_to_its_last_line(page: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path, {"PATH": tutorials.path_of_commands()})
    if page == CLONE:
        for name in OF_CLONE:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tmp_path / name)
        reader.environment["PYTHONPATH"] = str(tmp_path / "src")
    reader.follow(FOLDER / page)
    assert reader.outputs


def test_the_runner_notices_what_is_not_so(tmp_path: Path) -> None:
    """A command that fails, one that does not, an output that is not there."""
    page = tmp_path / "page.md"
    for text, complaint in (
        ("```sh run\nfalse\ntrue\n```\n", "exit code 1, not 0"),
        ("```sh fails 3\nexit 2\n```\n", "exit code 2, not 3"),
        ("```sh run\necho one two\n```\n```text output\none ... three\n```\n", "not printed"),
        ("```text note.txt after x\ny\n```\n", "0 lines that begin with x"),
        ("```text note.txt somewhere\ny\n```\n", "nobody knows"),
    ):
        page.write_text(text)
        (tmp_path / "note.txt").write_text("a\n")
        with pytest.raises(AssertionError, match=complaint):
            Reader(tmp_path).follow(page)
    page.write_text("```text a.txt\n1\n```\n```text a.txt after 1\n2\n```\n"
                    "```sh run\ncat a.txt\n```\n```text output\n1 ... 2\n```\n")  # fmt: skip
    reader = Reader(tmp_path)
    reader.follow(page)
    assert reader.outputs == 1
