"""Every snippet in the documents runs: Python blocks, and commands of blocks marked `sh run`."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import brevity

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_PAGES = [*PAGES, *sorted((ROOT / "docs").glob("*/*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks(kind: str) -> list[tuple[str, str]]:
    """(page, text) of every fenced block of one kind."""
    return [
        (page.name, text)
        for page in PAGES
        for found, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if found.strip() == kind
    ]


@pytest.fixture
def brief() -> Iterator[None]:
    """A snippet runs with few audits and no figures; `experiment/test_run.py` has all of them."""
    with brevity.small_samples(), brevity.audits_of_tables(), brevity.no_figures():
        yield


def commands() -> list[tuple[str, list[str]]]:
    """Every `hilum ...` line of every shell block of every page, marked or not."""
    lines = [
        (page.name, line.removeprefix("$ "))
        for page in ALL_PAGES
        for kind, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if kind.split(" ")[0] == "sh"
        for line in text.replace("\\\n", " ").splitlines()
    ]
    split = [(page, shlex.split(line, comments=True)) for page, line in lines if "hilum " in line]
    return [
        (page, [word.removeprefix("hilum-env/bin/") for word in words]) for page, words in split
    ]


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_snippets_run(
    page: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(text, page, "exec"), {"__name__": "__main__"})  # noqa: S102  (our own page)


def test_the_recipe_of_the_documents_loads_with_its_arms_and_tasks(tmp_path: Path) -> None:
    """The TOML blocks of the page on recipes are one recipe."""
    from hilum import recipes

    page = tmp_path / "page.toml"
    page.write_text("\n".join(text for name, text in blocks("toml") if name == "recipes.md"))
    whole, quick = recipes.load_recipe(str(page)), recipes.load_recipe(str(page), quick=True)
    assert list(recipes.cells(whole)) == ["frozen", "fine_tuned"]
    assert list(recipes.cells(quick)) == ["frozen"]
    assert quick.split.folds == 3
    assert [item.rename for item in recipes.tasks(whole)["three_classes"].data] != [{}]
    assert recipes.load_recipe(str(page), "published").split.group == "image"


def test_marked_commands_run(tmp_path: Path) -> None:
    found = [(page, line) for page, text in blocks("sh run") for line in text.splitlines() if line]
    assert found
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for page, line in found:
        done = subprocess.run(
            shlex.split(line),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, f"{page}: {line}\n{done.stdout}{done.stderr}"


def test_every_command_in_the_documents_exists() -> None:
    """Names and options of all commands, checked against the command line itself."""
    import typer

    from hilum.cli import main  # noqa: F401 - registers the commands
    from hilum.cli.app import app

    root = typer.main.get_command(app)
    seen = commands()
    assert len(seen) >= 60
    for page, words in seen:
        command, rest = root, words[words.index("hilum") + 1 :]
        while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
            assert rest[0] in command.commands, f"{page}: hilum {' '.join(rest)}"
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        unknown = {word for word in rest if word.startswith("--")} - known - {"--help"}
        assert not unknown, f"{page}: {' '.join(words)} has {unknown}"


def test_a_page_names_every_step_every_extra_and_every_command_that_writes() -> None:
    import typer

    from hilum.cli import extras
    from hilum.cli.main import app
    from hilum.preprocess import STEPS

    def page(name: str) -> str:
        return (ROOT / "docs" / name).read_text(encoding="utf-8")

    commands = vars(typer.main.get_command(app))["commands"]
    options = {name: {o for p in one.params for o in p.opts} for name, one in commands.items()}
    writing = {name for name, known in options.items() if known & {"--out", "--html", "--spool"}}
    assert len(writing) >= 12
    assert not {name for name in writing if f"`{name}" not in page("privacy.md")}
    assert not {name for name in STEPS if f"`{name}`" not in page("recipes.md")}
    assert not {e for e in extras.packages_by_extra() if f"hilum[{e}]" not in page("terminal.md")}


def test_the_index_links_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages == set(re.findall(r"\]\((\w+\.md)\)", index))
    assert "](decisions/)" in index


def test_links_between_documents_lead_somewhere() -> None:
    for page in ALL_PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
