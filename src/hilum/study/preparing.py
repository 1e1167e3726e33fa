"""Prepared images as files: a folder through named steps, and a sheet of before and after."""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from hilum import files, images
from hilum.prepare import STEPS, from_list, with_side
from hilum.prepare.step import Step, as_uint8
from hilum.study import outputs
from hilum.study.bench import Tell
from hilum.types import Grey8, GreyImage, HilumError, LeftOut, as_path

SHOWN = 6  # films on the contact sheet
CHUNK = 64  # images decoded before their bar moves on


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was written where, and what was not, with its reason."""

    folder: Path
    sheet: Path
    steps: list[str]
    written: int
    left_out: list[LeftOut]


@dataclass(frozen=True, slots=True)
class _Job:
    """One image: where it lies and where its prepared pixels go."""

    path: Path
    target: Path


def steps_named(names: Sequence[str], side: int | None = None) -> tuple[Step, ...]:
    """Steps by name with their usual parameters; `side` in pixels for those that have one.

    Unlike a network's preparation these need not end at a fixed size. Raises HilumError for an
    unknown name.
    """
    wanted = [name.strip() for name in names if name.strip()]
    for name in wanted or [""]:
        if name not in STEPS:
            nearest = difflib.get_close_matches(name, STEPS, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else "name one or more of these."
            raise HilumError(f"--steps wants names among {', '.join(STEPS)}; got {name!r}; {hint}")
    block = [{"step": name} for name in wanted]
    # a letterbox at the end only satisfies the check for a fixed size; it is taken off again
    sized = with_side(block, side) if side else block
    return from_list([*sized, {"step": "letterbox"}]).steps[:-1]


def prepare(folder: Path, steps: Sequence[Step], out: Path, tell: Tell) -> Prepared:
    """Write every readable image below `folder` to `out`/images, relative paths kept, as PNG.

    `contact_sheet.png` shows films before and after, `left_out.csv` lists what was not prepared.
    Raises HilumError where there is no readable image or `out` cannot be written.
    """
    root, target = as_path(folder), as_path(out)
    paths, strangers = images.find(root)
    own = target / "images"
    jobs = _jobs(root, [path for path in paths if own not in path.parents], own)
    outputs.room(own, target)
    move, left_out, done = tell("prepare"), list(strangers), 0
    for chunk in _chunks(jobs, steps):
        left_out += [LeftOut(str(job.path), fault) for job, fault in chunk if fault]
        done += len(chunk)
        move(done, len(jobs))
    written = [job for job in jobs if job.target.is_file()]
    if not written:
        raise HilumError(_nothing(root, left_out))
    sheet = _sheet(_drawn(written), steps, target)
    outputs.write_left_out(target, left_out)
    names = [step.name for step in steps]
    return Prepared(own, sheet, names, len(written), left_out)


def _nothing(root: Path, left_out: Sequence[LeftOut]) -> str:
    why = f", for instance {left_out[-1].what}: {left_out[-1].reason}" if left_out else ""
    return f"{root} must hold at least one image that can be prepared; got none{why.rstrip('.')}."


def _jobs(root: Path, paths: Sequence[Path], home: Path) -> list[_Job]:
    """Where each image goes; two that differ in their suffix alone keep it in the name."""
    below = [path.relative_to(root) for path in paths]
    count = Counter(path.with_suffix("") for path in below)
    names = [
        path.with_suffix(".png")
        if count[path.with_suffix("")] == 1
        else path.with_name(f"{path.name}.png")
        for path in below
    ]
    return [_Job(path, home / name) for path, name in zip(paths, names, strict=True)]


def _chunks(jobs: Sequence[_Job], steps: Sequence[Step]) -> Iterator[list[tuple[_Job, str]]]:
    """Each job done, with what went wrong or "", in order."""

    def one(job: _Job) -> str:
        job.target.unlink(missing_ok=True)  # what an earlier run wrote may not be what this one is
        try:
            _write(job.target, applied(steps, images.read(job.path).pixels))
        except HilumError as error:
            return str(error).removeprefix(f"{job.path}: ")
        return ""

    with ThreadPoolExecutor(files.cores()) as pool:
        for start in range(0, len(jobs), CHUNK):
            chunk = jobs[start : start + CHUNK]
            yield list(zip(chunk, pool.map(one, chunk), strict=True))


def applied(steps: Sequence[Step], pixels: GreyImage) -> Grey8:
    """(height, width) of any size through every step -> uint8 (height, width)."""
    for step in steps:
        pixels = step(pixels)
    return np.ascontiguousarray(as_uint8(pixels))


def _write(path: Path, pixels: Grey8) -> None:
    _, png = cv2.imencode(".png", pixels)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png.tobytes())
    except OSError as error:
        raise files.write_error(path, error) from error


def _drawn(jobs: Sequence[_Job]) -> list[_Job]:
    """Up to SHOWN of them, evenly spread."""
    at = np.unique(np.linspace(0, len(jobs) - 1, min(SHOWN, len(jobs))).round().astype(int))
    return [jobs[i] for i in at]


def _sheet(jobs: Sequence[_Job], steps: Sequence[Step], out: Path) -> Path:
    """`contact_sheet.png`: a film above, the same prepared below; its table beside it."""
    from hilum.report import canvas
    from hilum.report.text import label

    with canvas.style():
        figure = canvas.blank(1.6 * len(jobs) + 0.6, 4.2)
        axes = figure.subplots(2, len(jobs), squeeze=False)
        for column, job in enumerate(jobs):
            after = cv2.imdecode(np.fromfile(job.target, np.uint8), cv2.IMREAD_GRAYSCALE)
            before = as_uint8(images.read(job.path).pixels)
            for row, pixels in enumerate((before, np.asarray(after))):
                axes[row, column].imshow(pixels, cmap="gray", vmin=0, vmax=255)
                axes[row, column].set(xticks=[], yticks=[])
                axes[row, column].set_xlabel(f"{pixels.shape[1]} x {pixels.shape[0]}")
            axes[0, column].set_title(label(job.path.name, 22), fontsize=7)
        axes[0, 0].set_ylabel("before")
        axes[1, 0].set_ylabel("after")
        figure.suptitle(label(", ".join(step.name for step in steps), 16 * len(jobs)), fontsize=8)
        rows = pd.DataFrame([(str(job.path), str(job.target)) for job in jobs])
        return canvas.save(figure, rows.set_axis(["before", "after"], axis=1), out, "contact_sheet")
