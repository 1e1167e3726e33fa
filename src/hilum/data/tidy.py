"""From the columns a reader knows to the manifest's columns: types, missing values, spellings."""

import os
from pathlib import Path

import pandas as pd

from hilum import images
from hilum.data import missing, placeholders
from hilum.types import MANIFEST_COLUMNS, HilumError, nearest_name

# handed on as they were written; labels are the reader's business, sex and age have their notes
WRITTEN = ("patient_id", "source", "site", "official_part", "view", "modality")

OLDEST = 120  # years; beyond it an age is a slip of the pen (NIH has a patient of 414)
SEXES = {"f": "F", "female": "F", "woman": "F", "m": "M", "male": "M", "man": "M"}
VIEWS = {
    "pa": "PA",
    "posteroanterior": "PA",
    "ap": "AP",
    "anteroposterior": "AP",
    "ap erect": "AP",
    "ap supine": "AP supine",
    "l": "lateral",
    "ll": "lateral",
    "rl": "lateral",
    "lat": "lateral",
    "lateral": "lateral",
    "axial": "axial",
}
MODALITIES = {
    "x-ray": "X-ray",
    "xray": "X-ray",
    "cr": "X-ray",
    "dx": "X-ray",
    "rg": "X-ray",
    "xr": "X-ray",
    "radiograph": "X-ray",
    "ct": "CT",
}  # CR, DX, RG, CT: DICOM PS3.3 C.7.3.1.1.1


def tidy(rows: pd.DataFrame, dataset: str, root: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """Return the manifest's columns in order, and notes on values that had to be dropped."""
    _refuse_unknown(rows, dataset)
    table = uniform(rows.reindex(columns=list(MANIFEST_COLUMNS)).reset_index(drop=True))
    for name in WRITTEN:
        table[name] = missing.blanked(table[name]).astype("str")
    notes = _drop_odd_ages(table) + _drop_odd_sexes(table)
    table["view"] = _views(table["view"])
    table["modality"] = _respell(table["modality"], MODALITIES)
    table["dataset"] = table["dataset"].fillna(dataset)
    table["path"] = _absolute(table["path"], root)
    table["mask_path"] = _absolute(table["mask_path"], root)
    table["sample_id"] = _prefixed(
        table["sample_id"].fillna(_relative_to(table["path"], root)), dataset
    )
    patients, doubts = placeholders.dropped(table)
    table["patient_id"] = _prefixed(patients.astype("str"), dataset, between=":")
    return table, notes + doubts


def uniform(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with ages as float64 years and every other column as text.

    Blank text counts as missing; a whole number read as 12.0 is written "12".
    """
    columns = {name: _text(table[name]) for name in table.columns if name != "age"}
    columns["age"] = pd.to_numeric(table["age"], errors="coerce").astype("float64")
    return pd.DataFrame({name: columns[name] for name in table.columns})


def _text(values: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    words = values.astype("str").str.strip()
    return words.where(values.notna().to_numpy() & (words != "").to_numpy())


def _refuse_unknown(rows: pd.DataFrame, dataset: str) -> None:
    for name in rows.columns:
        if name not in MANIFEST_COLUMNS:
            hint = nearest_name(str(name), MANIFEST_COLUMNS, "leave it out.")
            raise HilumError(
                f"the rows of {dataset!r} must have columns among {', '.join(MANIFEST_COLUMNS)}; "
                f"got {name!r}; {hint}"
            )
    if "path" not in rows.columns:
        raise HilumError(
            f"the rows of {dataset!r} must have a path; got the columns "
            f"{', '.join(map(str, rows.columns))}; add it."
        )


def _drop_odd_ages(table: pd.DataFrame) -> list[str]:
    odd = (table["age"] < 0) | (table["age"] > OLDEST)
    table.loc[odd, "age"] = float("nan")
    count = int(odd.sum())
    return [f"{count} ages outside 0 to {OLDEST} years count as missing."] if count else []


def _drop_odd_sexes(table: pd.DataFrame) -> list[str]:
    known = _respell(table["sex"], SEXES)
    odd = known.notna() & ~known.isin(["F", "M"])
    table["sex"] = known.mask(odd)
    values = ", ".join(repr(value) for value in sorted(known[odd].unique())[:5])
    if not values:
        return []
    return [f"{int(odd.sum())} entries of sex other than F and M ({values}) count as missing."]


def _respell(values: pd.Series, spellings: dict[str, str]) -> pd.Series:
    return values.str.lower().map(spellings).astype("str").fillna(values)


def _views(values: pd.Series) -> pd.Series:
    """One spelling for each view; words that name none stay as they are."""
    known = _respell(values, VIEWS)
    odd = known.notna() & ~known.isin(set(VIEWS.values()))
    spoken = {word: images.view_in_words(word) or word for word in known[odd].unique()}
    return known.mask(odd, known.map(spoken).astype("str"))


def _absolute(paths: pd.Series, root: Path | None) -> pd.Series:
    base = Path.cwd() if root is None else root
    resolved = [None if pd.isna(path) else os.path.normpath(base / path) for path in paths]
    return pd.Series(resolved, index=paths.index, dtype="str")


def _relative_to(paths: pd.Series, root: Path | None) -> pd.Series:
    """Each path from `root` down, with forward slashes, as in a sample_id."""
    folders = paths.dropna().map(os.path.dirname).unique()
    base = root if root is not None else Path(os.path.commonpath(list(folders) or ["/"]))
    prefix = str(base).rstrip(os.sep) + os.sep
    below = paths.str.removeprefix(prefix).str.replace(os.sep, "/", regex=False)
    return below.str.lstrip("/")


def _prefixed(values: pd.Series, dataset: str, between: str = "/") -> pd.Series:
    prefix = dataset + between
    return values.where(values.isna() | values.str.startswith(prefix, na=False), prefix + values)
