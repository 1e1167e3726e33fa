"""The fast tests with other versions of Python that are on this machine."""

from pathlib import Path

from bare_environment import CONSTRAINTS, ROOT, CheckError, Environment, call, inherited

VERSIONS = ("3.11", "3.12", "3.13")
TESTS = ("contracts", "data", "images", "inference", "metrics", "models", "preprocess", "recipes")
TEST_PACKAGES = (
    "h5py", "hypothesis", "imagehash", "imbalanced-learn", "pytest", "pytest-xdist",
    "scikit-image", "statsmodels", "tifffile",
)  # fmt: skip


def tested(other: Environment, wheel: Path) -> str:
    """pytest's last line; a reason where the packages cannot be had for that Python."""
    try:
        other.pip("install", *CONSTRAINTS, str(wheel), *TEST_PACKAGES)
    except CheckError as error:
        return f"not checked, pip finds no packages for it ({str(error).splitlines()[-1]})"
    folders = [str(ROOT / "tests" / name) for name in TESTS]
    return other.python("-m", "pytest", "-n", "2", *folders).splitlines()[-1]


def found(version: str, named: list[str]) -> str:
    """An interpreter of that version: named, on PATH, or of pyenv; "" where there is none."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    for python in (*named, f"python{version}", *map(str, pyenv)):
        try:
            if call([python, "-c", code], inherited()).strip() == version:
                return python
        except (CheckError, OSError):
            continue
    return ""
