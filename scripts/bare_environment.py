"""A Python environment that holds one wheel, used as by somebody who has just installed it."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ("-c", str(ROOT / "constraints.txt"))
LINES = 12  # of a failed command's output that are shown
INSTALLERS = ("pip", "setuptools", "wheel", "__pycache__")  # in an environment before the wheel


class CheckError(Exception):
    """A check that failed, in one sentence."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment, and a home folder that is empty at first."""

    folder: Path

    @classmethod
    def made(cls, folder: Path, python: str) -> "Environment":
        """Make it with the interpreter `python`."""
        call([python, "-m", "venv", str(folder)], inherited())
        made = cls(folder)
        made.home.mkdir()
        return made

    @property
    def home(self) -> Path:
        """The home folder of every command of hilum."""
        return self.folder / "home"

    @property
    def variables(self) -> dict[str, str]:
        """Those of every command of hilum."""
        path = os.pathsep.join((str(self.folder / "bin"), "/usr/bin", "/bin"))
        return {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "COLUMNS": "200"}

    def pip(self, *words: str) -> str:
        """Run pip as its user has set it up: mirrors and its cache are those of the machine."""
        quiet = ("--quiet", "--disable-pip-version-check")
        return self.python("-m", "pip", words[0], *quiet, *words[1:])

    def python(self, *words: str) -> str:
        """Run Python in the repository's folder, with the caller's variables."""
        return call([str(self.folder / "bin/python"), *words], inherited(), ROOT)

    def hilum(self, *words: str, code: int = 0) -> str:
        """Run hilum with the empty home and no variable of the caller's; what it printed.

        Raises CheckError for another exit code than `code`, or a traceback.
        """
        command = [str(self.folder / "bin/hilum"), *words]
        printed = call(command, self.variables, self.home, code)
        if "Traceback" in printed:
            raise CheckError(f"hilum {' '.join(words)} printed a traceback: {printed}")
        return printed

    def megabytes(self) -> float:
        """What is installed, without pip and setuptools."""
        (packages,) = self.folder.glob("lib/python*/site-packages")
        parts = [part for part in packages.iterdir() if not part.name.startswith(INSTALLERS)]
        every = [path for part in parts for path in (part, *part.rglob("*"))]
        return sum(path.lstat().st_size for path in every if not path.is_dir()) / 1e6


def inherited() -> dict[str, str]:
    """The caller's variables without those that show Python another tree."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "HILUM_CACHE")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def call(
    words: Sequence[str], variables: dict[str, str], folder: Path | None = None, code: int = 0
) -> str:
    """Run a command; its output. Raises CheckError for another exit code, with the last lines."""
    done = subprocess.run(
        words, env=variables, cwd=folder, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode != code:
        tail = "\n".join(done.stdout.splitlines()[-LINES:])
        raise CheckError(
            f"{' '.join(words)} should end with exit code {code}; got {done.returncode}:\n{tail}"
        )
    return done.stdout
