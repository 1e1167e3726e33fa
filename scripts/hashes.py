"""Write the files `hashes*.txt`: versions with the SHA-256 of every published wheel.

    python scripts/hashes.py

`hashes.txt` has what hilum needs at run time, `hashes-nvidia.txt` what PyPI's torch adds on Linux
for NVIDIA cards, `hashes-dev.txt` the rest of `constraints.txt`. pip resolves as on a fresh machine
with PyPI alone. torch for processors alone (https://download.pytorch.org/whl/cpu) is another file,
whose hash is in CPU_BUILDS.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
INDEX = "https://pypi.org/simple"
JSON = "application/vnd.pypi.simple.v1+json"  # PEP 691
PYTHONS = ("cp311", "cp312", "cp313")
NVIDIA = re.compile(r"(nvidia|cuda)-|triton$")
# of Python 3.11 on Linux, x86-64, with which the tests run
CPU_BUILDS = {"torch": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"}
HEAD = """\
# Made by scripts/hashes.py for Python 3.11 to 3.13 on Linux. pip compares every file:
#     pip install --require-hashes -r {name}
"""


def versions_needed() -> dict[str, str]:
    """Name -> version of all that pip would install for hilum from PyPI, hilum itself apart."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--isolated", "--quiet", "--dry-run"]
        command += ["--disable-pip-version-check", "--ignore-installed", "--index-url", INDEX]
        command += ["--report", str(report), "-c", str(ROOT / "constraints.txt"), str(ROOT)]
        subprocess.run(command, check=True, env={**os.environ, "PIP_CONFIG_FILE": os.devnull})
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    records = [one["metadata"] for one in found]
    versions = {normalised(one["name"]): one["version"] for one in records}
    del versions["hilum"]
    return versions


def versions_pinned(text: str) -> dict[str, str]:
    """Name -> version of the lines NAME==VERSION, whatever follows them."""
    return {normalised(name): v for name, v in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M)}


def normalised(name: str) -> str:
    """A package's name as indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def hashes_of(name: str, version: str) -> list[str]:
    """SHA-256 of the wheels of a release that fit, or of its source where there are none."""
    request = urllib.request.Request(f"{INDEX}/{name}/", headers={"Accept": JSON})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - INDEX is https
        files = json.load(answer)["files"]
    mine = {one["filename"]: one["hashes"]["sha256"] for one in files}
    wheels = [file for file in mine if file.endswith(".whl") and _fits(file, version)]
    stem = re.escape(name).replace(r"\-", "[-_.]+")
    source = re.compile(rf"{stem}-{re.escape(version)}\.(tar\.gz|zip)", re.I)
    chosen = wheels or [file for file in mine if source.fullmatch(file)]
    if not chosen:
        sys.exit(f"expected a wheel or a source of {name} {version} in {INDEX}, got none.")
    own = [CPU_BUILDS[name]] if name in CPU_BUILDS else []
    return sorted({mine[file] for file in chosen} | {*own})


def _fits(file: str, version: str) -> bool:
    try:
        _, found, _, tags = parse_wheel_filename(file)
    except (InvalidVersion, InvalidWheelFilename):  # of releases from before there were rules
        return False
    return found == Version(version) and any(_fits_python(tag) for tag in tags)


def _fits_python(tag: Tag) -> bool:
    if tag.interpreter in PYTHONS:
        return not tag.abi.endswith("t")  # not the builds without a global lock
    return tag.interpreter.startswith("py3") or tag.abi == "abi3"


def written(name: str, versions: Mapping[str, str]) -> str:
    """A requirements file of this name."""
    lines = [HEAD.format(name=name)]
    for package, version in sorted(versions.items()):
        hashes = "".join(f" \\\n    --hash=sha256:{one}" for one in hashes_of(package, version))
        lines.append(f"{package}=={version}{hashes}\n")
    return "".join(lines)


def main() -> None:
    """Write all three."""
    needed = versions_needed()
    pinned = versions_pinned((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    parts = {
        "hashes.txt": {name for name in needed if not NVIDIA.match(name)},
        "hashes-nvidia.txt": {name for name in needed if NVIDIA.match(name)},
        "hashes-dev.txt": pinned.keys() - needed,
    }
    for name, packages in parts.items():
        versions = {package: (pinned | needed)[package] for package in packages}
        (ROOT / name).write_text(written(name, versions), encoding="utf-8")
        print(f"{name}: {len(versions)} packages")


if __name__ == "__main__":
    main()
