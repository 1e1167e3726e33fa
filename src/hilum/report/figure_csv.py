"""CSV that a spreadsheet opens as data: no cell of ours runs as a formula.

https://owasp.org/www-community/attacks/CSV_Injection
"""

import base64
import re
from pathlib import Path

import pandas as pd

from hilum import files
from hilum.files.cells import neutral

PATHS = ("path", "mask_path")
IDENTIFYING = ("sample_id", "patient_id", *PATHS)
EMBEDDED = 200_000  # letters; longer tables stay in the run's folder


def bare(path: object) -> object:
    """The last part of an absolute path; anything else as it is."""
    absolute = isinstance(path, str) and (path.startswith(("/", "\\\\")) or path[1:2] == ":")
    return re.split(r"[/\\]", str(path))[-1] if absolute else path


def write_figure_csv(table: pd.DataFrame, path: Path) -> Path:
    """Write a table without its index; strings and headings that look like formulas are quoted.

    Of absolute paths the last part stays: figures and their data are passed on with the page.
    """
    with files.atomic_write(path, synced=False) as draft:
        draft.write_text(safe_csv(table), encoding="utf-8", newline="")
    return path


def safe_csv(table: pd.DataFrame) -> str:
    """The text of that file."""
    table = table.assign(**{name: table[name].map(bare) for name in PATHS if name in table})
    safe = pd.DataFrame({i: table.iloc[:, i].map(neutral) for i in range(table.shape[1])})
    heads = [str(neutral(str(name))) for name in table.columns]
    return str(safe.to_csv(index=False, header=heads, lineterminator="\n"))


def csv_address(table: pd.DataFrame, name: str, anonymous: bool) -> str:
    """Where the page finds a figure's data: in itself, or in the run's folder where they are long.

    `anonymous`: without the columns that name an image or a patient, as the page is passed on.
    """
    named = [column for column in IDENTIFYING if anonymous and column in table]
    text = safe_csv(table.drop(columns=named))
    if len(text) > EMBEDDED:
        return f"figures/{name}.csv"
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode('ascii')}"
