"""Which files of a run hold patient numbers, names or paths, and what docs/privacy.md says."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"
COLUMNS = ("patient", "name", "path", "hospital")
FREE = "sometimes"  # depends on the run
OTHERS = "all other files in `figures`"


def found(path: Path, marked: dict[str, str]) -> set[str]:
    """Those of COLUMNS whose marked word is in a file, its tables and arrays unpacked."""
    if path.suffix == ".parquet":
        text = pd.read_parquet(path).to_csv()
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as kept:
            text = " ".join(str(kept[key].tolist()) for key in kept if kept[key].dtype.kind in "US")
    else:
        text = path.read_bytes().decode("utf-8", errors="replace")
    return {column for column in COLUMNS if re.search(re.escape(marked[column]), text)}


def said() -> dict[str, dict[str, str]]:
    """File, or folder, of the page's first table -> what it says of each of COLUMNS."""
    lines = PAGE.read_text(encoding="utf-8").split("\n## ")[2].splitlines()
    rows = {}
    for cells in (line.strip("| ").split(" | ") for line in lines if line.startswith("| ")):
        names = [OTHERS] if cells[0] == OTHERS else re.findall(r"`([^`]+)`", cells[0])
        rows |= {name: dict(zip(COLUMNS, cells[1:5], strict=True)) for name in names}
    return rows


def differences(run: Path, marked: dict[str, str]) -> list[str]:
    """Where a run's files are not as the page says; files that it does not list as well."""
    rows, wrong = said(), []
    for path in sorted(item for item in run.rglob("*") if item.is_file() and not _is_empty(item)):
        name = path.relative_to(run).as_posix()
        near = name if name in rows else path.relative_to(run).parent.as_posix()
        row = rows.get(near) or (rows[OTHERS] if name.startswith("figures/") else None)
        if row is None:
            wrong.append(f"{name} is not listed")
            continue
        held = found(path, marked)
        wrong += [
            f"{name}: the page says {says!r} of {column}, the file says {column in held}"
            for column, says in row.items()
            if says != FREE and (says == "yes") != (column in held) and path.suffix != ".png"
        ]
    return wrong


def _is_empty(path: Path) -> bool:
    """Whether it is a CSV without a row, such as the worst errors of a model without errors."""
    return path.suffix == ".csv" and len(path.read_text(encoding="utf-8").splitlines()) < 2
