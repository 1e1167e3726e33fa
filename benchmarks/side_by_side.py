"""What every benchmark shares: sizes, films, rivals timed in turn, one table of rows."""

import argparse
import importlib
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import files, images, phantom
from hilum.metrics.intervals import wilson

if TYPE_CHECKING:  # torch, which benchmarks of memory must not load
    from hilum.models.backbones import Backbone

HELD = ("tf_efficientnet_lite0",)  # weights that come with hilum
Right = npt.NDArray[np.bool_]  # (test image,): told rightly

COLUMNS = {
    "benchmark": "benchmark", "what": "what", "who": "who", "value": "measured", "unit": "unit",
    "ratio": "ratio", "asked": "asked", "agreement": "agreement", "note": "note",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `ratio` says how many times faster hilum is than `who`."""

    benchmark: str
    what: str
    who: str
    value: float | None
    unit: str
    ratio: float | None = None
    asked: str = ""
    agreement: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """What the command line asked for."""

    quick: bool
    full: bool
    data: Path | None
    out: Path

    def pick(self, quick: int, usual: int, full: int | None = None) -> int:
        """The number for the size that was asked for."""
        if self.quick:
            return quick
        return full if self.full and full is not None else usual


def asked(about: str | None, name: str) -> Size:
    """Read the flags that all benchmarks have."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="minutes, not more")
    parser.add_argument("--full", action="store_true", help="nothing is shortened: hours")
    parser.add_argument("--data", type=Path, help="a folder of real films, in place of phantoms")
    parser.add_argument("--out", type=Path, default=Path(f"out/bench/{name}.csv"))
    given = parser.parse_args()
    return Size(given.quick, given.full, given.data, given.out)


@contextmanager
def workplace(converted: bool = True) -> Iterator[Path]:
    """An empty folder, and a cache of its own inside it: every run starts cold.

    Weights are those of the user's cache, and so are networks that were `converted` before.
    """
    home = files.cache_home()
    before = os.environ.get("HILUM_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        cold = Path(folder) / "cache"
        cold.mkdir()
        for kept in ("weights", "compiled") if converted else ("weights",):
            (home / kept).mkdir(parents=True, exist_ok=True)
            (cold / kept).symlink_to(home / kept, target_is_directory=True)
        os.environ["HILUM_CACHE"] = str(cold)
        try:
            yield Path(folder)
        finally:
            os.environ.pop("HILUM_CACHE")
            if before is not None:
                os.environ["HILUM_CACHE"] = before


def films(size: Size, count: int, side: int, folder: Path) -> pd.DataFrame:
    """Columns path, label: phantoms of two classes, or the first readable films below --data."""
    if size.data is None:
        request = phantom.Request(images=count, size=side, seed=1)
        return phantom.write_phantom(request, folder).table[["path", "label"]]
    found, _ = images.list_images(size.data)
    chosen = [str(path) for path in found[:: max(1, len(found) // count)]][:count]
    return pd.DataFrame({"path": chosen, "label": [Path(p).parent.name for p in chosen]})


def backbone(name: str) -> "Backbone":
    """ImageNet weights where they lie on this machine, random ones otherwise: speed is the same."""
    from hilum.models import backbones

    there = name in HELD or (files.cache_home() / f"weights/{name}.safetensors").is_file()
    return backbones.build_backbone(name) if there else backbones.build_backbone(name, "random")


def share(right: Right) -> str:
    """Accuracy and its 95 % interval (Wilson)."""
    low, high = wilson(int(right.sum()), len(right))
    return f"accuracy {right.mean():.3f} ({low:.3f}-{high:.3f})"


def difference(ours: Right, theirs: Right) -> str:
    """Accuracy of both, and the 95 % interval of their difference (paired, Wald)."""
    apart = ours.astype(float) - theirs.astype(float)
    half = 1.96 * apart.std(ddof=1) / np.sqrt(len(apart))
    return f"{share(ours)} against {theirs.mean():.3f}; difference {apart.mean():+.3f} ± {half:.3f}"


def in_turn(rivals: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each rival: one after another, round by round; the first one warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(rounds + 1):
        for name, run in rivals.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(spent) for name, spent in seconds.items()}


def peer(name: str) -> ModuleType | None:
    """A peer's package, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        print(f"{name} cannot be imported: {str(error).splitlines()[0]}", file=sys.stderr)
        return None


def absent(benchmark: str, what: str, who: str) -> Row:
    """The row of a peer that is not here."""
    return Row(benchmark, what, who, None, "", note="not installed")


def load() -> str:
    """What else the machine was doing: the load average of the last minute, and the cores."""
    busy = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return f"load average {busy} on {files.available_cpus()} cores ({processor()})"


def processor() -> str:
    """The processor's name."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def finish(rows: Sequence[Row], out: Path) -> None:
    """Write the table as CSV and print it."""
    table = pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))
    out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(out, index=False)
    print(markdown(table))
    print(load())


def markdown(table: pd.DataFrame) -> str:
    """The rows as a Markdown table."""
    lines = [
        f"| {' | '.join(list(COLUMNS.values())[1:])} |",
        f"|{'---|' * (len(COLUMNS) - 1)}",
    ]
    for row in table.itertuples():
        cells = (
            row.what, row.who, _number(row.value), row.unit, _ratio(row.ratio), row.asked,
            row.agreement, row.note,
        )  # fmt: skip
        lines.append(f"| {' | '.join('' if pd.isna(cell) else str(cell) for cell in cells)} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.4g}"


def _ratio(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.2f} x"
