"""What a release holds and says of itself; `make release-check` builds and installs it."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import hashes
import hilum
import licences

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "hilum"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIRED: list[str] = PROJECT["project"]["dependencies"]
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=\[ ]", requirement)[0]


def small() -> list[str]:
    """The requirements of the small installation."""
    lines = (ROOT / "requirements-runtime.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_the_wheel_takes_every_data_file_of_the_package() -> None:
    globs = PROJECT["tool"]["setuptools"]["package-data"]["hilum"]
    others = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert {"py.typed", "preprocess/lungs/lungs.safetensors", "serve/page/page.js"} <= others
    # setuptools lets a star match within one folder alone
    taken = {
        glob: {f for f in others if fnmatch(f, glob) and f.count("/") == glob.count("/")}
        for glob in globs
    }
    assert set().union(*taken.values()) == others
    assert all(taken.values()), "a pattern of package-data matches nothing"


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert len(folders) > 20
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_the_version_is_one() -> None:
    top = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)[0]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", hilum.__version__)
    assert top == hilum.__version__ == str(cited["version"])
    assert PROJECT["project"]["dynamic"] == ["version"]


def test_the_citation_has_the_keys_that_its_format_requires() -> None:
    """Druskat et al. 2021, Citation File Format 1.2.0, doi:10.5281/zenodo.5171937."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    known = {"cff-version", "message", "type", "title", "abstract", "authors", "version"}
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert set(cited) <= known | {"license", "keywords", "date-released"}
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert all(author["name"] for author in cited["authors"])
    assert cited["license"] == PROJECT["project"]["license"]
    assert cited["keywords"] == PROJECT["project"]["keywords"]


def test_every_extra_that_a_message_or_page_names_is_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *PACKAGE.rglob("*.py")]
    named = {
        extra
        for page in pages
        for found in re.findall(r"(?<!\w)hilum\[([\w,]+)\]", page.read_text(encoding="utf-8"))
        for extra in found.split(",")
    }
    assert {"serve", "export", "keras"} <= named <= set(EXTRAS)


def test_the_small_installation_asks_for_what_the_whole_one_does() -> None:
    assert set(small()) < set(REQUIRED)
    assert not {"torch", "matplotlib"} & {name_of(line) for line in small()}


def test_the_licences_of_all_that_is_needed_fit_our_own() -> None:
    found = licences.licences()
    assert len(found) > 50
    assert {"numpy", "torch", "pydicom", "hilum"} <= set(found)
    assert [name for name, licence in found.items() if not licences.is_accepted(licence)] == []


@pytest.mark.parametrize(
    ("licence", "accepted"),
    [
        ("MIT", True),
        ("MPL-2.0 AND MIT", True),
        ("GPL-3.0-only OR BSD-3-Clause", True),
        ("MIT AND GPL-3.0-only", False),
        ("Free for non-commercial use", False),
        ("", False),
    ],
)
def test_a_licence_is_accepted_by_every_part_of_one_choice(licence: str, accepted: bool) -> None:
    assert licences.is_accepted(licence) is accepted


def test_every_package_that_is_needed_has_hashes_of_the_version_that_is_tested() -> None:
    listed = hashes.versions_pinned((ROOT / "hashes.txt").read_text())
    pinned = hashes.versions_pinned((ROOT / "constraints.txt").read_text())
    assert set(licences.licences()) - {"hilum"} <= set(listed)
    assert {name: pinned[name] for name in listed if name in pinned} == {
        name: version for name, version in listed.items() if name in pinned
    }
    rest = hashes.versions_pinned((ROOT / "hashes-dev.txt").read_text())
    assert listed | rest | pinned == listed | rest  # all that is pinned, in the same versions
    assert not set(listed) & set(rest)


@pytest.mark.parametrize("name", ["hashes.txt", "hashes-nvidia.txt", "hashes-dev.txt"])
def test_each_line_of_hashes_is_one_that_pip_can_check(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) > 10
    for line in lines:
        package, *found = line.split()
        Requirement(package)
        assert "==" in package
        assert found, package
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in found), package


def test_hashes_have_torch_for_processors_alone() -> None:
    assert f"--hash=sha256:{hashes.CPU_BUILDS['torch']}" in (ROOT / "hashes.txt").read_text()


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ("numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl", True),
        ("numpy-2.4.6-cp39-abi3-win_amd64.whl", True),
        ("numpy-2.4.6-py2.py3-none-any.whl", True),
        ("numpy-2.4.6-cp313-cp313t-macosx_14_0_arm64.whl", False),
        ("numpy-2.4.6-cp310-cp310-manylinux_2_28_x86_64.whl", False),
        ("numpy-2.4.60-py3-none-any.whl", False),
        ("numpy-2.4.6-py36+-none-any.whl", False),  # a tag of old releases that is none
    ],
)
def test_wheels_of_hashes_are_those_of_our_pythons(file: str, fits: bool) -> None:
    assert hashes._fits(file, "2.4.6") is fits
