"""A finished model on unlabelled images: probabilities, and heat maps of what spoke for them."""

import difflib
import itertools
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from hilum import files, images
from hilum.evaluate import conformal, gate
from hilum.evaluate import model as models
from hilum.evaluate.gate import Glance
from hilum.evaluate.model import Model, columns, mirrored
from hilum.explain import heat, sheets
from hilum.explain.sheets import Look, Tile
from hilum.prepare import Pipeline
from hilum.study import outputs
from hilum.study.bench import Tell
from hilum.train.batches import ahead
from hilum.types import CLASS_NAMES, Grey8, HilumError, LeftOut, MissingError, Probabilities

CHUNK = 128  # images held in memory at a time
LONGEST = 100  # letters of a file's name that are kept
RESERVED = re.compile(r"sheet(-\d+)?", re.I)  # names that the sheets have
HEATMAP_COLUMNS = [
    "path", "label", "class", "probability", "method", "render", "file", "reason"
]  # fmt: skip
EMPTY: dict[str, object] = {**dict.fromkeys(HEATMAP_COLUMNS, ""), "probability": np.nan}
Film: TypeAlias = tuple[Grey8, Glance]  # prepared pixels, and what the image showed before
Decoded: TypeAlias = tuple[list[str], list[Film | str]]  # paths, and films or what went wrong


@dataclass(frozen=True, slots=True)
class Ask:
    """Which heat maps are wanted; without a class, those of each image's predicted class."""

    method: str = "gradcam"
    class_: str | None = None
    look: Look = field(default_factory=Look)


def predict(
    folder: Path, paths: Sequence[Path], out: Path, tell: Tell, heatmaps: Path | None = None
) -> tuple[pd.DataFrame, list[LeftOut]]:
    """Write `path, label, p_<class>..., abstain, reason`, one row per image, to the CSV `out`.

    An image that cannot be read has a row with its reason and no probabilities; one that is not of
    the kind that the model learnt from, or that it cannot decide, keeps them and says why it is
    abstained from. With `heatmaps`, a folder, `explain`'s files are written there as well. Raises
    MissingError for a path that does not exist, HilumError where there is no image at all.
    """
    models.read_record(folder)
    wanted, left_out = _listed(paths, "predict")
    outputs.room(out.parent, out)
    model = models.load(folder)
    drawer = Drawer.of(model, Ask(), _apart(heatmaps, wanted)) if heatmaps else None
    move, done, tables = tell("predict"), 0, []
    for names, decoded in _chunks(wanted, model.pipeline):
        tables.append(_rows(model, names, decoded))
        for _ in drawer.draw(tables[-1], decoded) if drawer else names:
            done += 1
            move(done, len(wanted))
    table = pd.concat(tables, ignore_index=True)
    with files.atomic_write(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8f")
    if drawer:
        drawer.close()
    return table, [*left_out, *_unread(table[table["label"] == ""])]


def explain(
    folder: Path, paths: Sequence[Path], out: Path, ask: Ask, tell: Tell
) -> tuple[pd.DataFrame, list[LeftOut]]:
    """Write one PNG per image, sheets of all, and `heatmaps.csv` to the folder `out`.

    `folder` is a model's, or that of a finished run. The table has `path, label, class,
    probability, method, render, file, reason`: the predicted class, the class that the map is of,
    and that class's probability. Raises as `predict` does, and HilumError for a method, class or
    rendering that does not exist.
    """
    folder = models.located(folder)
    models.read_record(folder)
    wanted, left_out = _listed(paths, "explain")
    outputs.room(_apart(out, wanted))
    model = models.load(folder)
    drawer = Drawer.of(model, ask, out)
    move, done = tell("explain"), 0
    for names, decoded in _chunks(wanted, model.pipeline):
        for _ in drawer.draw(_rows(model, names, decoded), decoded):
            done += 1
            move(done, len(wanted))
    table = drawer.close()
    return table, [*left_out, *_unread(table[table["file"] == ""])]


@dataclass(slots=True)
class Drawer:
    """Draws heat maps as images come; a sheet is written when it is full."""

    model: Model
    ask: Ask
    out: Path
    subject: heat.Subject
    names: set[str] = field(default_factory=set)  # of files written, in lower case
    tiles: list[Tile] = field(default_factory=list)
    rows: list[dict[str, object]] = field(default_factory=list)
    full: int = 0  # sheets that are written

    @classmethod
    def of(cls, model: Model, ask: Ask, out: Path) -> "Drawer":
        """Ready to draw; raises HilumError for what `ask` may not ask of this model."""
        ask.look.check()
        _require_class(ask.class_, model.facts.classes)
        subject = heat.subject(model.facts, model.backbone, model.head, model.logits)
        heat.require(subject, ask.method, model.pipeline.shape)
        return cls(model, ask, outputs.room(out), subject)

    def draw(self, rows: pd.DataFrame, decoded: Sequence[Film | str]) -> Iterator[None]:
        """A PNG for each image that could be read, pausing after each; `rows` as in `predict`."""
        for row, item in zip(rows.to_dict("records"), decoded, strict=True):
            facts = {**EMPTY, "path": row["path"], "label": row["label"]}
            if isinstance(item, str):
                self.rows.append({**facts, "reason": item})
            else:
                self.rows.append({**facts, **self._one(row, item[0])})
            yield

    def close(self) -> pd.DataFrame:
        """Write the last sheet and `heatmaps.csv`, and return the table."""
        if self.tiles:
            self._sheet()
        table = pd.DataFrame(self.rows, columns=HEATMAP_COLUMNS)
        with files.atomic_write(self.out / "heatmaps.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.8f")
        return table

    def _one(self, row: dict[str, object], film: Grey8) -> dict[str, object]:
        class_ = self.ask.class_ or str(row["label"])
        p = float(str(row[f"p_{class_}"]))
        found = heat.heat(
            self.subject, film, self.model.facts.classes.index(class_), self.ask.method
        )
        name = self._name(Path(str(row["path"])).stem)
        tile = Tile(film, heat.relative(found), _words(row, class_, p, empty=not found.any()))
        self.tiles.append(tile)
        sheets.save(sheets.single(tile, self.ask.look, self._title()), self.out / name)
        if len(self.tiles) == sheets.COLUMNS * sheets.ROWS:
            self._sheet()
        return {
            "class": class_,
            "probability": p,
            "method": self.ask.method,
            "render": self.ask.look.render,
            "file": name,
        }

    def _sheet(self) -> None:
        self.full += 1
        name = "sheet.png" if self.full == 1 else f"sheet-{self.full}.png"
        page = sheets.sheet(self.tiles, self.ask.look, self._title())
        sheets.save(page, self.out / name)
        self.tiles.clear()

    def _title(self) -> str:
        return heat.known(self.ask.method).title

    def _name(self, stem: str) -> str:
        """A file name of its own: images of several folders may have one name."""
        stem = f"image-{stem}" if RESERVED.fullmatch(stem) else stem[:LONGEST]
        endings = ("" if n == 1 else f"-{n}" for n in itertools.count(1))
        name = next(stem + end for end in endings if (stem + end).lower() not in self.names)
        self.names.add(name.lower())
        return f"{name}.png"


def _words(row: dict[str, object], class_: str, p: float, *, empty: bool) -> tuple[str, ...]:
    said, asked = (CLASS_NAMES.get(name, name) for name in (str(row["label"]), class_))
    first = f"Evidence for {asked}, p = {p:.3f}"
    second = Path(str(row["path"])).name
    if class_ != row["label"]:
        first += f" (predicted: {said})"
    if empty:
        second = f"The map is empty: no place speaks for {asked}. {second}"
    return first, second


def _apart(out: Path, wanted: Sequence[Path]) -> Path:
    """The folder itself; HilumError where films lie in it, which heat maps could overwrite."""
    if any(path.resolve().parent == out.resolve() for path in wanted):
        raise HilumError(
            f"heat maps want a folder apart from the images; got {str(out)!r}, where some of them "
            "lie; choose another."
        )
    return out


def _require_class(name: str | None, classes: list[str]) -> None:
    if name is not None and name not in classes:
        near = difflib.get_close_matches(name, classes, 1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one."
        raise HilumError(
            f"--class must be one of the model's classes ({', '.join(classes)}); got {name!r}; "
            f"{hint}"
        )


def _unread(table: pd.DataFrame) -> list[LeftOut]:
    return [LeftOut(row.path, row.reason) for row in table.itertuples()]


def _listed(paths: Sequence[Path], command: str) -> tuple[list[Path], list[LeftOut]]:
    """Files as named, folders searched; each image once, in order."""
    found: dict[Path, None] = {}
    left_out: list[LeftOut] = []
    for path in paths:
        if not path.exists():
            raise MissingError(
                f"{command} wants images or folders; got {str(path)!r}, which does not exist; "
                "check the path."
            )
        inside, others = images.find(path) if path.is_dir() else ([path], [])
        found |= dict.fromkeys(inside)
        left_out += others
    if not found:
        raise HilumError(
            f"{command} wants at least one image; got none in {', '.join(map(str, paths))}; "
            "PNG, JPEG, TIFF and DICOM are read."
        )
    return list(found), left_out


def _chunks(paths: Sequence[Path], pipeline: Pipeline) -> Iterator[Decoded]:
    """Decode the next chunk while the network works on this one."""

    def one(path: Path) -> Film | str:
        try:
            found = images.read(path, pipeline.decode_side)
            colour = images.colourfulness(path, found.facts)
            return pipeline(found.pixels), gate.glance(found.pixels, colour)
        except HilumError as error:
            return str(error)

    with ThreadPoolExecutor(files.cores()) as pool:
        parts = (paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK))
        yield from ahead(([str(p) for p in part], list(pool.map(one, part))) for part in parts)


def _rows(model: Model, names: list[str], decoded: list[Film | str]) -> pd.DataFrame:
    classes = model.facts.classes
    table = pd.DataFrame(
        {
            "path": names,
            "label": "",
            **dict.fromkeys(columns(classes), np.nan),
            "abstain": True,
            "reason": [item if isinstance(item, str) else "" for item in decoded],
        }
    )
    good = [i for i, item in enumerate(decoded) if not isinstance(item, str)]
    if good:
        p, reasons = _judged(model, [item for item in decoded if not isinstance(item, str)])
        table.loc[good, columns(classes)] = p
        table.loc[good, "label"] = np.array(classes)[p.argmax(1)]
        table.loc[good, "abstain"] = [reason != "" for reason in reasons]
        table.loc[good, "reason"] = reasons
    return table


def _judged(model: Model, films: Sequence[Film]) -> tuple[Probabilities, list[str]]:
    """Probabilities (image, class), and why each image is abstained from, or ""."""
    stack = np.stack([prepared for prepared, _ in films])
    plain = model.runtime(stack)
    again = model.runtime(mirrored(stack)) if model.facts.mirror else None
    p = model.calibrated(model.from_features(plain, again))
    refused = gate.refusals(model.gate, plain, [glance for _, glance in films])
    undecided = [""] * len(films)
    if model.facts.conformal:
        kept = conformal.sets(p, model.facts.classes, model.facts.conformal)
        undecided = [conformal.sentence(row, model.facts.classes) for row in kept]
    return p, [first or second for first, second in zip(refused, undecided, strict=True)]
