"""A run's tables with codes in the place of patients and images, to be passed on.

A code is a keyed digest (HMAC, RFC 2104, https://www.rfc-editor.org/rfc/rfc2104). The same key
gives a patient the same code in every run; without the key nobody can compute it.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hilum import files
from hilum.files import cells
from hilum.report import run_folder
from hilum.report.run_folder import RunFolder
from hilum.types import HilumError, as_path

FOLDER = "pseudonymous"  # in a run's folder
DIGITS = 16  # of a code: two of a million images have the same one once in 40 million sets
SHORTEST = 4  # characters of a number or name that is looked for in sentences
KEY = re.compile(r"[0-9a-f]{64}")
DESCRIBED = (
    *("sample_id", "patient_id", "label", "source", "dataset", "official_part"),
    *("view", "modality", "age", "sex"),
)
# of results.json, what cannot name an image, a patient or a folder; the rest is left empty
KEPT = ("recipe", "title", "mode", "classes", "n", "scores", "published", "left_to_audit", "notice")
PARTS = {
    "split": ("kind", "folds", "grouped_by", "seed", "seeds", "counts"),
    "model": ("cell", "fold", "seed", "backbone", "head", "precision", "temperature"),
}


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The codes that one key gives.

    >>> from hilum.interop import Pseudonyms
    >>> codes = Pseudonyms(bytes(32))
    >>> codes.code("patient", "A7000")
    'patient-cd61e5dc17138e75'
    """

    key: bytes

    @classmethod
    def of(cls, path: str | Path) -> "Pseudonyms":
        """The key of a file; where there is none it is made, readable by its owner alone.

        Raises HilumError for a file that holds something else, or that cannot be read or made.
        """
        path = as_path(path)
        try:
            text = path.read_text(encoding="ascii").strip() if path.exists() else _made(path)
        except (OSError, UnicodeError) as error:
            raise HilumError(
                f"the key of pseudonyms must be a file that can be read or made; got {str(path)!r} "
                f"({error}); name another one."
            ) from None
        if not KEY.fullmatch(text):
            raise HilumError(
                f"the key of pseudonyms must be 64 hexadecimal digits; got {str(path)!r} with "
                "something else; name a new file, which hilum makes."
            )
        return cls(bytes.fromhex(text))

    def code(self, kind: str, name: object) -> str:
        """The code of a patient or an image, such as "patient-3f2a91c09b7d4e10"."""
        digest = hmac.new(self.key, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()
        return f"{kind}-{digest[:DIGITS]}"

    def column(self, kind: str, names: "pd.Series[str]") -> "pd.Series[str]":
        """The codes of a column; what is missing stays so."""
        return names.map(lambda name: self.code(kind, name), na_action="ignore")


def _made(path: Path) -> str:
    text = secrets.token_hex(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
    return text


def write_pseudonymous(run: str | Path, pseudonyms: Pseudonyms) -> Path:
    """Write the tables of a finished run with codes to the folder `pseudonymous` in it.

    Predictions, splits, the course of training, a list of the images and the record of scores and
    audits: enough to compute every score again and to compare two runs. Paths, file names, digests
    of files and pictures are left out. Raises MissingError for a folder that is no finished run's,
    and what a damaged file raises.

    >>> import hilum
    >>> from hilum.interop import Pseudonyms, write_pseudonymous
    >>> try:
    ...     write_pseudonymous("films", Pseudonyms(bytes(32)))
    ... except hilum.MissingError as error:
    ...     print(str(error).partition(";")[0])
    a finished run's folder has results.json
    """
    read = run_folder.read_run(as_path(run))
    out = read.folder / FOLDER
    out.mkdir(exist_ok=True)
    if read.predictions is not None:
        _write(read.predictions, out / "predictions.csv", pseudonyms)
    if read.splits is not None:
        _write(read.splits, out / "splits.csv", pseudonyms)
    if read.history is not None:
        _write(read.history, out / "history.csv", pseudonyms)
    if read.manifest is not None:
        kept = [name for name in DESCRIBED if name in read.manifest]
        _write(read.manifest[kept], out / "images.csv", pseudonyms)
    with files.atomic_write(out / "results.json") as path:
        path.write_text(json.dumps(_record(read, pseudonyms), indent=1))
    return out


def _record(run: RunFolder, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """`results.json` without the parts that may name an image; sentences have codes for names."""
    whole, names = run.record().as_json(), _names(run, pseudonyms)
    parts = {
        part: {key: value for key, value in whole[part].items() if key in keys}
        for part, keys in PARTS.items()
    }
    audits = [{**row, "sentence": _coded(row["sentence"], names)} for row in whole["audits"]]
    emptied = {name: type(value)() for name, value in whole.items()}
    return {
        **emptied,
        **{name: whole[name] for name in KEPT},
        **parts,
        "audits": audits,
        "verdict": _coded(whole["verdict"], names),
    }


def _write(table: pd.DataFrame, path: Path, pseudonyms: Pseudonyms) -> None:
    """In the order of the codes: that of the names would give them away."""
    coded = table.copy()
    if "patient_id" in coded:
        coded["patient_id"] = pseudonyms.column("patient", coded["patient_id"])
    if "sample_id" in coded:
        coded["sample_id"] = pseudonyms.column("image", coded["sample_id"])
        if "path" in coded:
            coded["path"] = coded["sample_id"]
        coded = coded.sort_values("sample_id", kind="stable")
    with files.atomic_write(path) as temporary:
        cells.write_csv(coded, temporary, None)


def _names(run: RunFolder, pseudonyms: Pseudonyms) -> dict[str, str]:
    """Every name that a sentence may hold -> its code, longer ones first."""
    found: dict[str, str] = {}
    for table in (run.predictions, run.manifest):
        if table is None:
            continue
        for name in table["patient_id"].dropna().astype(str).unique():
            found[name] = pseudonyms.code("patient", name)
        for sample, path in table[["sample_id", "path"]].astype(str).itertuples(index=False):
            code = pseudonyms.code("image", sample)
            found |= dict.fromkeys(_forms(sample, path), code)
    usable = {name: code for name, code in found.items() if len(name) >= SHORTEST}
    return dict(sorted(usable.items(), key=lambda pair: -len(pair[0])))


def _forms(sample: str, path: str) -> Iterable[str]:
    """How a sentence may name an image."""
    return sample, path, Path(path).name, Path(path).stem, str(Path(path).parent)


def _coded(sentence: str, names: Mapping[str, str]) -> str:
    """A sentence with codes for names."""
    if not names:
        return sentence
    pattern = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names)
    return re.sub(pattern, lambda match: names[match[0]], sentence)
