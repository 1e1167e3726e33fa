"""Heat maps of a finished model's answers, drawn as its images are read."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hilum import files
from hilum.explain import cam, heatmap_sheets, passes, render
from hilum.explain.heatmap_sheets import HeatmapStyle, HeatmapTile
from hilum.explain.passes import Pass
from hilum.files import cells
from hilum.inference import cautions
from hilum.inference.answer import PreparedImage
from hilum.inference.model import Features, TrainedModel
from hilum.types import CLASS_NAMES, Grey8, HilumError, Stack8, nearest_name, shown_probability

LONGEST = 100  # letters of a file's name that are kept
RESERVED = re.compile(r"sheet(-\d+)?", re.I)  # names that the sheets have
HEATMAP_COLUMNS = [
    "path", "label", "class", "probability", "method", "render", "file", "reason"
]  # fmt: skip
EMPTY: dict[str, object] = {**dict.fromkeys(HEATMAP_COLUMNS, ""), "probability": np.nan}


@dataclass(frozen=True, slots=True)
class HeatmapRequest:
    """Which heat maps are expected; without a class, those of each image's predicted class."""

    method: str = "gradcam"
    class_: str | None = None
    style: HeatmapStyle = field(default_factory=HeatmapStyle)


@dataclass(slots=True)
class HeatmapWriter:
    """Draws heat maps as images are read; a sheet is written when it is full."""

    model: TrainedModel
    request: HeatmapRequest
    out: Path
    one_pass: Pass
    names: set[str] = field(default_factory=set)  # of files written, in lower case
    tiles: list[HeatmapTile] = field(default_factory=list)
    rows: list[dict[str, object]] = field(default_factory=list)
    full: int = 0  # sheets that are written

    @classmethod
    def of(cls, model: TrainedModel, request: HeatmapRequest, out: Path) -> "HeatmapWriter":
        """Ready to draw; raises HilumError where the request does not fit this model."""
        request.style.check()
        _require_class(request.class_, model.facts.classes)
        one_pass = passes.pass_of(model, request.method)
        return cls(model, request, files.ensure_writable_folder(out), one_pass)

    def features(self, stack: Stack8) -> Features:
        """The model's `features` of films (image, height, width), maps kept for `draw`."""
        return self.one_pass.features(stack)

    def draw(self, rows: pd.DataFrame, decoded: Sequence[PreparedImage | str]) -> Iterator[None]:
        """A PNG for each image that could be read, pausing after each; `rows` as in `predict`.

        Their features came from this drawer's own `features`.
        """
        for row, item in zip(rows.to_dict("records"), decoded, strict=True):
            facts = {**EMPTY, "path": row["path"], "label": row["label"]}
            if isinstance(item, str):
                self.rows.append({**facts, "reason": item})
            else:
                self.rows.append({**facts, **self._one(row, item.pixels)})
            yield

    def close(self, batch: str = "") -> pd.DataFrame:
        """Write the last sheet and `heatmaps.csv`, and return the table.

        `batch`: why all images together are abstained from, if they are.
        """
        if self.tiles:
            self._sheet()
        table = pd.DataFrame(self.rows, columns=HEATMAP_COLUMNS)
        table.loc[table["reason"] == "", "reason"] = batch
        with files.atomic_write(self.out / "heatmaps.csv") as temporary:
            cells.write_csv(table, temporary)
        return table

    def _one(self, row: dict[str, object], film: Grey8) -> dict[str, object]:
        class_ = self.request.class_ or str(row["label"])
        p = float(str(row[f"p_{class_}"]))
        heatmap = self.one_pass.heat(film, self.model.facts.classes.index(class_))
        name = self._name(Path(str(row["path"])).stem)
        tile = HeatmapTile(
            film, render.relative(heatmap), words(row, class_, p, empty=not heatmap.any())
        )
        self.tiles.append(tile)
        heatmap_sheets.save_page(
            heatmap_sheets.single(tile, self.request.style, self._title(), self._verdict()),
            self.out / name,
        )
        if len(self.tiles) == heatmap_sheets.COLUMNS * heatmap_sheets.ROWS:
            self._sheet()
        return {
            "class": class_,
            "probability": p,
            "method": self.request.method,
            "render": self.request.style.render,
            "file": name,
            "reason": row["reason"],
        }

    def _sheet(self) -> None:
        self.full += 1
        name = "sheet.png" if self.full == 1 else f"sheet-{self.full}.png"
        page = heatmap_sheets.draw_sheet(
            self.tiles, self.request.style, self._title(), verdict=self._verdict()
        )
        heatmap_sheets.save_page(page, self.out / name)
        self.tiles.clear()

    def _title(self) -> str:
        return cam.find_method(self.request.method).title

    def _verdict(self) -> str:
        return cautions.verdict_line(self.model.facts.judged)

    def _name(self, stem: str) -> str:
        """A file name of its own: images of several folders may have one name."""
        stem = f"image-{stem}" if RESERVED.fullmatch(stem) else stem[:LONGEST]
        endings = ("" if n == 1 else f"-{n}" for n in itertools.count(1))
        name = next(stem + end for end in endings if (stem + end).lower() not in self.names)
        self.names.add(name.lower())
        return f"{name}.png"


def words(row: dict[str, object], class_: str, p: float, *, empty: bool) -> tuple[str, ...]:
    """Lines of a film and its map: the class and its p, up to three remarks, the file's name."""
    predicted, explained = (CLASS_NAMES.get(name, name) for name in (str(row["label"]), class_))
    lines = [f"Evidence for {explained}, p {shown_probability(p)}", Path(str(row["path"])).name]
    if class_ != row["label"]:
        lines.insert(1, f"predicted: {predicted}")
    if empty:
        lines.insert(1, "empty map: nothing in the image supports it")
    if row.get("reason"):
        lines.insert(1, f"abstained: {row['reason']}")
    return tuple(lines)


def _require_class(name: str | None, classes: list[str]) -> None:
    if name is not None and name not in classes:
        raise HilumError(
            f"--class must be one of the model's classes ({', '.join(classes)}); got {name!r}; "
            + nearest_name(name, classes, "choose one.")
        )
