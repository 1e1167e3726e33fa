"""The pages of the site: every link leads somewhere, and the reference has every name of the code.

Sphinx is not needed: `make docs` builds what is staged here, and turns warnings into errors.
"""

import dataclasses
import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import hilum
from hilum.audits import AUDITS
from hilum.cli import main  # noqa: F401 - registers the commands
from hilum.cli.app import app
from hilum.datasets.registry import DATASETS
from hilum.metrics.registry import METRICS
from hilum.models.cards import BACKBONES
from hilum.preprocess import STEPS
from hilum.recipes import recipe_names
from hilum.recipes.schema import Recipe
from hilum.report.figures.registry import FIGURES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))

import generate_reference  # noqa: E402
import stage_pages  # noqa: E402

HEADING = re.compile(r"^#{1,3} (.+)$", re.M)
FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1 *$", re.M | re.S)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return generate_reference.pages()


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    stage_pages.stage(folder)
    return folder


def test_every_python_name_is_in_the_reference(made: dict[str, str]) -> None:
    page = made["python.md"]
    for name in hilum.__all__:
        assert f"\n## {name}\n" in page
        item = getattr(hilum, name)
        if inspect.isclass(item):
            mine = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
            public = [n for n, member in vars(item).items() if not n.startswith("_")
                      and (inspect.isfunction(getattr(member, "__func__", member))
                           or isinstance(member, property))]  # fmt: skip
            fields = dataclasses.fields(item) if dataclasses.is_dataclass(item) else ()
            for member in [*public, *(field.name for field in fields)]:
                assert re.search(rf"^`+\{{py:\w+\}} {member}\b", mine, re.M), f"{name}.{member}"


def test_every_command_and_option_is_in_the_reference(made: dict[str, str]) -> None:
    page = made["command_line.md"]

    def check(words: str, command: Any) -> int:
        inner = getattr(command, "commands", None)
        if inner is not None:
            return sum(check(f"{words} {name}", item) for name, item in inner.items())
        assert page.count(f"\n## {words}\n") == 1, words
        mine = page.partition(f"\n## {words}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert all(f"`{flag}`" in mine for flag in parameter.opts), parameter.opts
            else:
                assert f"| `{parameter.name.upper()}` |" in mine
            assert parameter.help, f"{words} {parameter.name}"
            assert " ".join(parameter.help.split()) in mine
        return 1

    assert check("hilum", typer.main.get_command(app)) >= 15


def test_every_key_of_a_recipe_is_in_the_reference(made: dict[str, str]) -> None:
    """By the JSON schema that pydantic makes of the same models."""
    schema = Recipe.model_json_schema()
    tables = [schema, *schema["$defs"].values()]
    sections = re.split(r"^## ", made["recipe_keys.md"], flags=re.M)[1:]
    listed = [set(re.findall(r"^\| `(\w+)` \|", section, re.M)) for section in sections]
    assert len(sections) == len(tables)
    for table in tables:
        assert set(table["properties"]) in listed, table["title"]


def test_every_row_of_every_table_is_in_the_reference(made: dict[str, str]) -> None:
    for page, names in (
        ("recipes_that_come_with_hilum.md", [f"\n## {name}\n" for name in recipe_names()]),
        ("datasets.md", [f"\n## {row.card.name}\n" for row in DATASETS.values()]),
        ("steps.md", [f"\n## {name}\n" for name in STEPS]),
        ("backbones.md", [f"`{name}`" for name in BACKBONES]),
        ("metric_table.md", [f"`{name}`" for name in METRICS]),
        ("audit_rules.md", [f"\n## {name} {row.rule.title}\n" for name, row in AUDITS.items()]),
        ("figures.md", [f"`{name}.png`" for name in FIGURES]),
        ("examples.md", [f"\n## {path.name}\n" for path in (ROOT / "examples").glob("*.py")]),
    ):
        assert names
        assert [name for name in names if name not in made[page]] == []
    for name, step in STEPS.items():
        mine = made["steps.md"].partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for field in dataclasses.fields(step):
            assert (f"| `{field.name}` |" in mine) == field.metadata.get("parameter", True)


def test_tables_are_whole(made: dict[str, str]) -> None:
    """Every row has as many cells as its head, whatever the texts of the code hold."""
    for page, text in made.items():
        width = 0
        for line in FENCED.sub("", text).splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert not width or not cells or cells == width, f"{page}: {line}"
            width = cells


def test_links_of_staged_pages_lead_to_pages_and_headings(staged: Path) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in staged.rglob("*.md")}
    assert len(texts) > 60
    for path, text in texts.items():
        for _, _, target in stage_pages.LINK.findall(FENCED.sub("", text)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            goal = Path(os.path.normpath(path.parent / name)) if name else path
            assert goal.is_file(), f"{path.relative_to(staged)}: {target}"
            if anchor:
                headings = HEADING.findall(FENCED.sub("", texts[goal]))
                assert anchor in map(slug, headings), f"{path.relative_to(staged)}: {target}"


def test_every_staged_page_is_in_one_table_of_contents(staged: Path) -> None:
    placed = []
    for path in staged.rglob("*.md"):
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", path.read_text(), re.S):
            names = [re.sub(r".*<(.+)>", r"\1", line) for line in tree.splitlines()
                     if line and not line.startswith(":")]  # fmt: skip
            placed += [os.path.normpath(path.parent / f"{name}.md") for name in names]
    assert sorted([*placed, str(staged / "index.md")]) == sorted(map(str, staged.rglob("*.md")))


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "site" / "home.md"
    page.parent.mkdir(parents=True)
    page.write_text("# Home\n\n[x](../gone.md)\n")
    site = stage_pages.Site({stage_pages.HOME: "index.md"})
    with pytest.raises(ValueError, match="does not exist"):
        stage_pages._page(tmp_path, stage_pages.HOME, "index.md", site)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
