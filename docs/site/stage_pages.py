"""The pages of the site, gathered in one folder: hand-written ones, and the generated reference.

Pages stay plain Markdown that reads well in a repository; this module turns links between files
into links between pages, and the links of a section's index into its contents. A link that leads
nowhere, and a page that no section has, stop the build.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import generate_reference

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {
    "tutorials": "Tutorials",
    "how-to": "How-to guides",
    "explanation": "Explanation",
    "reference": "Reference",
}
HOME = "docs/site/home.md"
EXAMPLES = "reference/examples.md"
LISTS = {
    "decisions": "# Decisions\n\nWhat was decided, and why.",
    "log": "# Log\n\nNotes on what was tried, by subject.",
}  # folder of pages that no page lists: how its list begins
NAMED = {
    HOME: "index.md",
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "findings/README.md": "findings.md",
    "docs/index.md": "all_pages.md",
}  # file in the repository -> page
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(`{3,}|~{3,})")
LEXERS = {"csv": "text", "py": "python"}  # fence's word -> a lexer that Pygments has


@dataclass(frozen=True, slots=True)
class Site:
    """Files of the repository and the pages they become, by paths from either root."""

    pages: Mapping[str, str]

    @classmethod
    def of(cls, root: Path = ROOT) -> "Site":
        """All Markdown below `docs/`, and the files of NAMED."""
        docs = sorted(path.relative_to(root).as_posix() for path in root.glob("docs/**/*.md"))
        pages = dict(NAMED)
        for name in docs:
            pages.setdefault(name, name.removeprefix("docs/"))
        return cls(pages)

    def page_of(self, target: str) -> str | None:
        """The page that a file or folder of the repository leads to."""
        if target.removeprefix("docs/") in LISTS:
            return f"{target.removeprefix('docs/')}/index.md"
        if target == "examples" or target.startswith("examples/"):
            return EXAMPLES
        return self.pages.get(target) or self.pages.get(f"{target}/index.md")


def stage(folder: Path, root: Path = ROOT) -> None:
    """Write every page, and the pictures, below `folder`; what is no longer a page is removed."""
    site = Site.of(root)
    texts = {page: _page(root, name, page, site) for name, page in site.pages.items()}
    texts |= {f"{folder}/index.md": _list(folder, texts) for folder in LISTS}
    made = generate_reference.pages()
    texts["reference/index.md"] += _generated(made)
    texts |= {f"reference/{name}": text for name, text in made.items()}
    for page, tree in contents(texts).items():
        texts[page] += tree
    for path in folder.rglob("*.md"):
        if path.relative_to(folder).as_posix() not in texts:
            path.unlink()
    for page, text in texts.items():
        _write(folder / page, text)
    shutil.copytree(root / "docs" / "images", folder / "images", dirs_exist_ok=True)


def _write(path: Path, text: str) -> None:
    """A page that has not changed keeps its time, so that it is not built again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _page(root: Path, name: str, page: str, site: Site) -> str:
    """The text of a file as a page: links lead to pages, fences name lexers that there are."""
    parts: list[str] = []
    prose: list[str] = []  # a link may go over the end of a line
    closing = ""

    def end_of_prose() -> None:
        text = "".join(f"{line}\n" for line in prose)
        parts.append(LINK.sub(lambda found: _link(found, root, name, page, site), text))
        prose.clear()

    for line in (root / name).read_text(encoding="utf-8").splitlines():
        fence = FENCE.match(line)
        if closing:
            parts.append(f"{line}\n")
            closing = "" if line.strip() == closing else closing
        elif fence:
            end_of_prose()
            closing = fence[1]
            parts.append(_fence(line, closing) + "\n")
        else:
            prose.append(line)
    end_of_prose()
    return "".join(parts)


def _fence(line: str, ticks: str) -> str:
    words = line[len(ticks) :].split()
    return ticks + LEXERS.get(words[0], words[0]) if words else line


def _link(found: re.Match[str], root: Path, name: str, page: str, site: Site) -> str:
    mark, words, target = found.groups()
    if re.match(r"[a-z]+:|#", target):
        return found[0]
    path, hash_, anchor = target.partition("#")
    file = os.path.normpath(Path(name).parent / path)
    if not (root / file).exists():
        raise ValueError(f"{name} links to {target}, which does not exist; correct the link.")
    if mark:
        place = file.removeprefix("docs/")
    elif (place_or_none := site.page_of(file)) is None:
        return words if "`" in words else f"{words} (`{file}`)"  # a file of the repository
    else:
        place = place_or_none
    return f"{mark}[{words}]({os.path.relpath(place, Path(page).parent)}{hash_}{anchor})"


def _list(folder: str, texts: Mapping[str, str]) -> str:
    pages = sorted(page for page in texts if page.startswith(f"{folder}/"))
    lines = [f"- [{_title(texts[page])}]({Path(page).name})" for page in pages]
    return LISTS[folder] + "\n\n" + "\n".join(lines) + "\n"


def _generated(made: Mapping[str, str]) -> str:
    lines = [f"- [{_title(text)}]({name})" for name, text in made.items()]
    return "\n## Generated from the code\n\n" + "\n".join(lines) + "\n"


def _title(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("# "))[2:]


def contents(texts: Mapping[str, str]) -> dict[str, str]:
    """Index page -> its hidden table of contents; each page is in one, home's holds the rest."""
    free = dict.fromkeys(page for page in texts if page != "index.md")
    trees: dict[str, str] = {}
    indices = [f"{section}/index.md" for section in SECTIONS]
    lists = [f"{folder}/index.md" for folder in LISTS]
    for index in [*indices, *lists]:
        free.pop(index)
        chosen = [page for page in linked(texts[index], index) if page in free]
        trees[index] = _tree(chosen, index)
        for page in chosen:
            free.pop(page)
    rest = [*free, *lists]
    trees["index.md"] = "".join(
        [_tree(indices, "index.md"), _tree(sorted(rest), "index.md", "Project")]
    )
    return trees


def linked(text: str, page: str) -> Iterator[str]:
    """The pages that a page links to, in their order, each once."""
    found = (Path(page).parent / target.partition("#")[0] for _, _, target in LINK.findall(text))
    yield from dict.fromkeys(os.path.normpath(path) for path in found)


def _tree(pages: list[str], index: str, caption: str = "") -> str:
    names = [os.path.relpath(page, Path(index).parent).removesuffix(".md") for page in pages]
    names = [f"README <{name}>" if name == "readme" else name for name in names]
    head = ["", "```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    return "\n".join([*head, *names, "```", ""])
