"""Prepared images as files: a folder through named steps, and a sheet of before and after."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from hilum import files, images
from hilum.experiment import outputs, prepare_shards, shards
from hilum.experiment.prepare_film import FilmJob, FilmOutcome, prepare_film
from hilum.experiment.spread import ALONE, Spread
from hilum.files import cells
from hilum.preprocess import STEPS, from_list, with_side
from hilum.preprocess.lungs import segmenter
from hilum.preprocess.step import Step, as_uint8
from hilum.progress import Advance, Progress
from hilum.types import HilumError, LeftOut, as_path, nearest_name

SHEET = "contact_sheet"
SHOWN = 6  # films on the contact sheet
CHUNK = 64  # images decoded between two steps of the progress bar
BEGUN = "shard-begun.reading"  # says of the images that they are of a call that was interrupted


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was written where, and what was not, with its reason."""

    folder: Path
    sheet: Path
    steps: list[str]
    written: int
    left_out: list[LeftOut]
    masks: Path | None = None  # of the lungs, where a step finds them
    faulty: list[LeftOut] = field(default_factory=list)  # masks that do not pass their check


def steps_named(names: Sequence[str], side: int | None = None) -> tuple[Step, ...]:
    """Steps by name, as "clahe" or "keep_lungs:hull=true:dilate=0.03"; `side` in pixels.

    Unlike a network's preparation these need not end at a fixed size. Raises HilumError for an
    unknown name or parameter.
    """
    stripped = [name.strip() for name in names if name.strip()]
    block = [_row(name) for name in stripped or [""]]
    # a letterbox at the end only satisfies the check for a fixed size; it is taken off again
    sized = with_side(block, side) if side else block
    return from_list([*sized, {"step": "letterbox"}], segmenter.load_segmenter).steps[:-1]


def _row(text: str) -> dict[str, Any]:
    name, *settings = text.split(":")
    if name not in STEPS:
        hint = nearest_name(name, STEPS, "name one or more of these.")
        raise HilumError(f"--steps needs names among {', '.join(STEPS)}; got {name!r}; {hint}")
    pairs = [setting.partition("=") for setting in settings]
    return {"step": name} | {key: _value(value) for key, _, value in pairs}


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text  # a bare word is a string, so that no shell needs nested quotes


def prepare_folder(
    folder: Path, steps: Sequence[Step], out: Path, progress: Progress, spread: Spread = ALONE
) -> Prepared:
    """Write every readable image below `folder` to `out`/images, relative paths kept, as PNG.

    Where a step finds lungs, their masks (0 or 255, the image's own size) go to `out`/masks under
    the same names, and `lungs.csv` says of each whether it can be believed. `contact_sheet.png`
    shows films before and after, `left_out.csv` lists what was not prepared. `spread` shares films
    out among processes, and can go on after a kill: the same bytes.
    Raises HilumError where there is no readable image or `out` cannot be written.
    """
    spread.check()
    root, target = as_path(folder), as_path(out)
    if root.resolve() in (target.resolve(), *target.resolve().parents):
        raise HilumError(
            f"--out must be apart from the images, which would be prepared again with them; got "
            f"{str(out)!r} in {str(folder)!r}; choose another place."
        )
    paths, others = images.list_images(root)
    folders = (target / "images", target / "masks")
    jobs = _jobs(root, paths, folders)
    _require_own(target, jobs)
    files.ensure_writable_folder(folders[0], target)
    with (
        files.alone(target),
        prepare_shards.outcomes(jobs, steps, target, spread, progress)
        if spread.in_parts
        else _outcomes_here(jobs, steps, target, progress("prepare")) as done,
    ):
        files.remove_unfinished(target)
        return _complete(root, target, jobs, steps, others, done)


@contextmanager
def _outcomes_here(
    jobs: Sequence[FilmJob], steps: Sequence[Step], out: Path, advance: Advance
) -> Iterator[list[FilmOutcome]]:
    """Each job done, in order, by this process; what an interruption leaves can be replaced."""
    done: list[FilmOutcome] = []
    with shards.parts_folder(out / shards.INSIDE, resume=False) as folder:
        (folder / BEGUN).touch()
        for chunk in files.mapped_ahead(lambda job: prepare_film(job, steps), jobs, CHUNK):
            done += chunk
            advance(len(done), len(jobs))
        yield done


def _complete(
    root: Path,
    target: Path,
    jobs: Sequence[FilmJob],
    steps: Sequence[Step],
    others: Sequence[LeftOut],
    done: Sequence[FilmOutcome],
) -> Prepared:
    """The tables and the contact sheet of films that are prepared."""
    left_out = [
        *others,
        *(LeftOut(str(item.job.path), item.fault) for item in done if item.fault),
    ]
    written = [job for job in jobs if job.target.is_file()]
    if not written:
        raise HilumError(_nothing_prepared(root, left_out))
    sheet = _sheet(_examples(written), steps, target)
    outputs.write_left_out(target, left_out)
    with_lungs = _write_lung_table(done, target)
    names = [step.name for step in steps]
    faulty = [
        LeftOut(str(item.job.path), item.lungs.status)
        for item in with_lungs
        if item.lungs is not None and not item.lungs.good
    ]
    masks = target / "masks" if with_lungs else None
    return Prepared(target / "images", sheet, names, len(written), left_out, masks, faulty)


def _require_own(out: Path, jobs: Sequence[FilmJob]) -> None:
    """HilumError where images or masks of others would be replaced: many datasets have `images`."""
    if (out / f"{SHEET}.png").is_file() or (out / shards.INSIDE).is_dir():  # of an earlier call
        return
    for job in jobs:
        files.require_own(job.target, None, "--out")
        files.require_own(job.mask, None, "--out")


def _write_lung_table(done: Sequence[FilmOutcome], out: Path) -> list[FilmOutcome]:
    """`lungs.csv`, and the jobs whose images have a mask; none where no step finds lungs."""
    with_lungs = [item for item in done if item.lungs is not None]
    rows = [
        (str(item.job.path), str(item.job.mask), item.lungs.status, item.lungs.fraction,
         item.lungs.confidence)
        for item in with_lungs
        if item.lungs is not None
    ]  # fmt: skip
    if rows:
        columns = ["path", "mask", "status", "fraction", "confidence"]
        with files.atomic_write(out / "lungs.csv") as temporary:
            cells.write_csv(pd.DataFrame(rows, columns=columns), temporary, "%.4f")
    return with_lungs


def _nothing_prepared(root: Path, left_out: Sequence[LeftOut]) -> str:
    why = f", for instance {left_out[-1].what}: {left_out[-1].reason}" if left_out else ""
    return (
        f"{root} must hold at least one image that can be prepared; got none{why.rstrip('.')}; "
        "name a folder of films."
    )


def _jobs(root: Path, paths: Sequence[Path], folders: tuple[Path, Path]) -> list[FilmJob]:
    """Where each image goes; two that differ in their suffix alone keep it in the name."""
    below = [path.relative_to(root) for path in paths]
    count = Counter(path.with_suffix("") for path in below)
    names = [
        path.with_suffix(".png")
        if count[path.with_suffix("")] == 1
        else path.with_name(f"{path.name}.png")
        for path in below
    ]
    return [
        FilmJob(path, folders[0] / name, folders[1] / name)
        for path, name in zip(paths, names, strict=True)
    ]


def _examples(jobs: Sequence[FilmJob]) -> list[FilmJob]:
    """Up to SHOWN of them, evenly spread."""
    at = np.unique(np.linspace(0, len(jobs) - 1, min(SHOWN, len(jobs))).round().astype(int))
    return [jobs[i] for i in at]


def _sheet(jobs: Sequence[FilmJob], steps: Sequence[Step], out: Path) -> Path:
    """`contact_sheet.png`: a film above, the same prepared below; and its table."""
    from hilum.report import style
    from hilum.report.wording import short_label

    with style.style():
        figure = style.blank(1.6 * len(jobs) + 0.6, 4.2)
        axes = figure.subplots(2, len(jobs), squeeze=False)
        for column, job in enumerate(jobs):
            after = cv2.imdecode(np.fromfile(job.target, np.uint8), cv2.IMREAD_GRAYSCALE)
            before = as_uint8(images.read(job.path).pixels)
            for row, pixels in enumerate((before, np.asarray(after))):
                axes[row, column].imshow(pixels, cmap="gray", vmin=0, vmax=255)
                axes[row, column].set(xticks=[], yticks=[])
                axes[row, column].set_xlabel(f"{pixels.shape[1]} x {pixels.shape[0]}")
            axes[0, column].set_title(short_label(job.path.name, 22), fontsize=7)
        axes[0, 0].set_ylabel("before")
        axes[1, 0].set_ylabel("after")
        figure.suptitle(
            short_label(", ".join(step.name for step in steps), 16 * len(jobs)), fontsize=8
        )
        rows = pd.DataFrame([(str(job.path), str(job.target)) for job in jobs])
        return style.save_figure(figure, rows.set_axis(["before", "after"], axis=1), out, SHEET)
