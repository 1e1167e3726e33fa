"""Helpers of the command line's tests: run the installed program, write small films."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from hilum.phantom import Phantom

BAD = ("text.png", "empty.png", "cut.png")  # files that lie among the good ones
HILUM = Path(sys.executable).with_name("hilum")
ENTRY = "from hilum.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run over class folders with three bad files among the good ones."""

    folder: Path
    data: Path
    done: Done


Run: TypeAlias = Callable[..., Done]


def installed(*words: str | Path, **environment: str) -> Done:
    """Run the installed program as a user does."""
    command = [str(HILUM)] if HILUM.is_file() else [sys.executable, "-c", ENTRY]
    done = subprocess.run(
        [*command, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def write(path: Path, pixels: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(pixels))
    return path


def class_folders(films: Phantom, root: Path) -> Path:
    """<class>/patient<number>_<image>.png"""
    for i, row in films.table.iterrows():
        number = "".join(c for c in str(row["patient_id"]) if c.isdigit())
        write(root / row["label"] / f"patient{number}_{i}.png", films.images[i])
    return root


def noise(seed: int, side: int = 48) -> Any:
    """(side, side) of smooth random grey levels: no two seeds are near duplicates."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    return cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC)
