"""Builds hilum as a release does, installs it where nothing else is, and uses it.

    python scripts/release_check.py [--python PYTHON ...] [--only NAME ...]

Each check prints one line; where any fails, the exit code is 1. Checks:

    version       the changelog's top release, CITATION.cff and the commit's tag are this version
    metadata      pyproject.toml and CITATION.cff against their published schemas
    build         wheel and sdist; the wheel, built from the sdist, has every file of src/hilum
    again         the wheel, built once more, has the same bytes
    bare          the wheel alone in an environment: --help, doctor, demo, an empty home folder
    sbom          all components of the installation as CycloneDX, and their licences
    sentences     serve and export without their extras say what to install
    serve         with the extra serve alone: `hilum serve` answers as `hilum predict` does
    extras        each extra can be resolved, with the tested versions and with the newest
    runtime       the small installation uses an exported model: same bytes, <= 40% of the size
    pythons       the fast tests with other versions of Python that are on this machine
"""

import argparse
import csv
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import other_pythons
import served
from bare_environment import CONSTRAINTS, ROOT, CheckError, Environment, call, inherited

PACKAGE = ROOT / "src" / "hilum"
RUNTIME = ROOT / "requirements-runtime.txt"
TOOLS = ("build", "cyclonedx-bom>=7", "validate-pyproject", "trove-classifiers", "pyyaml")
SBOM = ROOT / "build" / "hilum.cdx.json"
IN_SDIST = ("CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "tests/conftest.py")
LARGEST_SHARE = 0.40  # of the whole installation's size: the small one
DIGITS = 1e-8  # of a probability in a CSV
FILMS = 6  # of the demonstration, answered by both installations


@dataclass
class Release:
    """What the checks share: built once, in a folder that goes at the end."""

    folder: Path
    pythons: list[str]
    made: dict[str, Environment] = field(default_factory=dict)
    whole_size: float = 0.0  # megabytes of the installation without extras

    @cached_property
    def project(self) -> dict[str, object]:
        """The table `project` of pyproject.toml."""
        return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    @cached_property
    def version(self) -> str:
        """`hilum.__version__`, read and not imported."""
        text = (PACKAGE / "__init__.py").read_text()
        return re.findall(r'^__version__ = "(.+)"$', text, re.M)[0]

    @cached_property
    def built(self) -> tuple[Path, Path]:
        """Wheel and sdist; `build` makes the wheel from the sdist."""
        return self.build("dist")

    def build(self, name: str) -> tuple[Path, Path]:
        """Wheel and sdist in a new folder of that name."""
        out = self.folder / name
        self.environment("tools").python("-m", "build", "--outdir", str(out), str(ROOT))
        (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
        return wheel, sdist

    def environment(self, name: str, python: str = sys.executable) -> Environment:
        """An environment, made when it is first asked for."""
        if name not in self.made:
            made = self.made[name] = Environment.made(self.folder / name, python)
            if name == "tools":
                made.pip("install", *TOOLS)
            if name == "bare":
                made.pip("install", *CONSTRAINTS, str(self.built[0]))
                self.whole_size = made.megabytes()
        return self.made[name]


def check_version(release: Release) -> str:
    """The version is one, wherever it is written."""
    version = release.version
    top = re.findall(r"^## \[(.+?)\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)[0]
    cited = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    if top[0] != version or cited != [version]:
        raise CheckError(f"changelog {top[0]}, CITATION.cff {cited}, package {version} differ")
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return f"{version}; tag not checked: no git here"
    tags = call(["git", "tag", "--points-at", "HEAD"], inherited(), ROOT).split()
    if not tags:
        return f"{version}, {top[1]}; this commit has no tag"
    if f"v{version}" not in tags or top[1] == "unreleased":
        raise CheckError(
            f"a release needs the tag v{version} and a date in the changelog; got {tags}, {top[1]}"
        )
    return f"{version}, {top[1]}, tag v{version}"


def check_metadata(release: Release) -> str:
    """pyproject.toml and CITATION.cff are what their formats ask for."""
    tools = release.environment("tools")
    tools.python("-m", "validate_pyproject", str(ROOT / "pyproject.toml"))
    try:
        citing = Environment.made(release.folder / "citing", sys.executable)
        citing.pip("install", "setuptools<81", "cffconvert==2.0.0")
    except CheckError as error:
        return f"pyproject.toml valid; CITATION.cff not checked: {error}"
    citing.python("-m", "cffconvert.cli.cli", "--validate", "-i", str(ROOT / "CITATION.cff"))
    return "pyproject.toml and CITATION.cff valid"


def check_build(release: Release) -> str:
    """The wheel has every file of the package and no other, the sdist what it should have."""
    wheel, sdist = release.built
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("hilum/")}
    found = [path for path in PACKAGE.rglob("*") if path.is_file()]
    wanted = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in found
        if "__pycache__" not in path.parts
    }
    if inside != wanted:
        raise CheckError(f"wheel and src/hilum differ in {sorted(inside ^ wanted)}")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in IN_SDIST if name not in names]
    if missing:
        raise CheckError(f"the sdist lacks {missing}")
    sizes = [path.stat().st_size / 1e6 for path in release.built]
    return f"wheel {sizes[0]:.1f} MB with {len(inside)} files, sdist {sizes[1]:.1f} MB"


def check_again(release: Release) -> str:
    """The wheel depends on the commit alone; the sdist's gzip header holds the time."""
    digests = [
        sha256(wheel.read_bytes()).hexdigest()
        for wheel in (release.built[0], release.build("again")[0])
    ]
    if digests[0] != digests[1]:
        raise CheckError(f"two builds should give the same wheel; got {' and '.join(digests)}")
    return f"the same wheel, SHA-256 {digests[0]}"


def check_bare(release: Release) -> str:
    """`pip install hilum` alone runs the demonstration."""
    bare = release.environment("bare")
    bare.pip("check")
    if f"hilum {release.version}" not in bare.hilum("--version"):
        raise CheckError(f"hilum --version should be {release.version}")
    for command in ("demo", "train", "predict"):
        if command not in bare.hilum("--help"):
            raise CheckError(f"hilum --help does not list {command}")
    bare.hilum("doctor")
    start = time.monotonic()
    bare.hilum("demo", "--out", "demo")
    spent = time.monotonic() - start
    for name in ("report.html", "results.json", "model/model.json"):
        if not (bare.home / "demo" / name).is_file():
            raise CheckError(f"hilum demo wrote no {name}")
    return f"--help, doctor, demo in {spent:.0f} s"


def check_sentences(release: Release) -> str:
    """Commands whose extra is missing say so, in one sentence and with exit code 2."""
    bare = release.environment("bare")
    for extra, words in (
        ("serve", ("serve", "demo")),
        ("export", ("export", "demo", "--out", "exported")),
    ):
        printed = " ".join(bare.hilum(*words, code=2).split())
        if f"pip install 'hilum[{extra}]'" not in printed:
            raise CheckError(f"hilum {extra} should name its extra; it said: {printed}")
    return "serve, export"


def check_serve(release: Release) -> str:
    """The extra serve is all that `hilum serve` needs."""
    bare = with_demo(release)
    bare.pip("install", *CONSTRAINTS, f"{release.built[0]}[serve]")
    film = films_of(bare)[0]
    start = time.monotonic()
    got = served.ask(bare, bare.home / "demo", film)
    spent = time.monotonic() - start
    bare.hilum("predict", "demo", str(film), "--out", "one.csv")
    with (bare.home / "one.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    if not got or any(abs(float(row[f"p_{name}"]) - p) > DIGITS for name, p in got.items()):
        raise CheckError(f"hilum serve should answer as hilum predict; got {got}, {row}")
    return f"page, interface and one answer in {spent:.0f} s"


def with_demo(release: Release) -> Environment:
    """The bare environment, with the demonstration's run in its home."""
    bare = release.environment("bare")
    if not (bare.home / "demo").is_dir():
        bare.hilum("demo", "--out", "demo")
    return bare


def films_of(environment: Environment) -> list[Path]:
    """Films that the demonstration has left."""
    films = sorted((environment.home / "demo/data/images").glob("*.png"))[:FILMS]
    if len(films) < FILMS:
        raise CheckError(f"the demonstration should leave {FILMS} films; got {len(films)}")
    return films


def check_sbom(release: Release) -> str:
    """The list is valid CycloneDX, and every licence in it is accepted."""
    bare, tools = release.environment("bare"), release.environment("tools")
    SBOM.parent.mkdir(exist_ok=True)
    tools.python(
        "-m", "cyclonedx_py", "environment", str(bare.folder / "bin/python"), "--validate",
        "--output-reproducible", "--pyproject", str(ROOT / "pyproject.toml"), "-o", str(SBOM),
    )  # fmt: skip
    listed = {part["name"].lower() for part in json.loads(SBOM.read_text())["components"]}
    printed = bare.python(str(ROOT / "scripts/licences.py")).splitlines()
    needed = {line.split()[0] for line in printed} - {"hilum"}
    missing = {name for name in needed if name not in {re.sub(r"[-_.]+", "-", n) for n in listed}}
    if missing:
        raise CheckError(f"the list of components lacks {sorted(missing)}")
    return f"{len(listed)} components in {SBOM.relative_to(ROOT)}, licences accepted"


def check_extras(release: Release) -> str:
    """pip finds versions that fit together, for each extra and all of them."""
    extras = sorted(release.project["optional-dependencies"])  # type: ignore[call-overload]
    wheel = release.built[0]
    bare, tools = release.environment("bare"), release.environment("tools")
    for extra in extras:
        bare.pip("install", "--dry-run", *CONSTRAINTS, f"{wheel}[{extra}]")
    tools.pip("install", "--dry-run", f"{wheel}[{','.join(extras)}]")
    return f"{', '.join(extras)}; all together with the newest versions"


def check_runtime(release: Release) -> str:
    """The small installation answers as the whole one does, in its share of the size."""
    whole, small, full = with_demo(release), release.environment("runtime"), release.whole_size
    small.pip("install", *CONSTRAINTS, "-r", str(RUNTIME))
    small.pip("install", "--no-deps", str(release.built[0]))
    size = small.megabytes()
    whole.pip("install", *CONSTRAINTS, f"{release.built[0]}[export]")
    exported, answers = str(whole.home / "exported"), []
    whole.hilum("export", "demo", "--out", exported)
    films = films_of(whole)
    for one in (whole, small):
        one.hilum("predict", exported, *map(str, films), "--out", "preds.csv")
        answers.append((one.home / "preds.csv").read_bytes())
    if answers[0] != answers[1]:
        raise CheckError("the small installation answers differently")
    said = " ".join(small.hilum("demo", code=2).split())
    if "run pip install hilum" not in said:
        raise CheckError(f"hilum demo should say what is missing; it said: {said}")
    if size > LARGEST_SHARE * full:
        raise CheckError(f"small {size:.0f} MB is more than {LARGEST_SHARE:.0%} of {full:.0f} MB")
    return f"small {size:.0f} MB, whole {full:.0f} MB: {size / full:.0%}; same bytes for {FILMS}"


def check_pythons(release: Release) -> str:
    """The fast tests pass with the other versions of Python that there are."""
    said = []
    for version in other_pythons.VERSIONS:
        python = other_pythons.found(version, release.pythons)
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            said.append(f"{version} is this one")
        elif not python:
            said.append(f"{version} not checked: no such interpreter here")
        else:
            other = release.environment(f"python{version}", python)
            said.append(f"{version}: {other_pythons.tested(other, release.built[0])}")
    return "; ".join(said)


CHECKS: dict[str, Callable[[Release], str]] = {
    "version": check_version,
    "metadata": check_metadata,
    "build": check_build,
    "again": check_again,
    "bare": check_bare,
    "sbom": check_sbom,
    "sentences": check_sentences,
    "serve": check_serve,
    "extras": check_extras,
    "runtime": check_runtime,
    "pythons": check_pythons,
}


def _committed() -> str:
    """Seconds at which the commit was made; "" where there is none."""
    try:
        return call(["git", "log", "-1", "--format=%ct"], inherited(), ROOT).strip()
    except (CheckError, OSError):
        return ""


def main() -> None:
    """Run the checks in their order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--python", nargs="+", default=[], help="further interpreters to test with")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS))
    wanted = parser.parse_args()
    # one time for all that is built: that of the commit, or of 1980, where zip's calendar begins
    os.environ.setdefault("SOURCE_DATE_EPOCH", _committed() or "315532800")
    with tempfile.TemporaryDirectory() as place:
        release, failed = Release(Path(place), wanted.python), 0
        for name in [name for name in CHECKS if name in wanted.only]:  # later ones add extras
            start = time.monotonic()
            try:
                word, outcome = "ok    ", CHECKS[name](release)
            except CheckError as error:
                word, outcome, failed = "FAILED", str(error), failed + 1
            print(f"{word}  {name} ({time.monotonic() - start:.0f} s): {outcome}", flush=True)
    sys.exit(min(failed, 1))


if __name__ == "__main__":
    main()
