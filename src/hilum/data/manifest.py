"""The manifest: one row per image, in one schema whatever the images came from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import files
from hilum.data.tidy import tidy, uniform
from hilum.types import MANIFEST_COLUMNS, HilumError, LeftOut, Manifest, as_path, require_columns

Rows: TypeAlias = Iterable[Mapping[str, Any]] | pd.DataFrame

_SEXES = {"F", "M"}
_MODALITIES = {"X-ray", "CT"}
_METADATA = b"hilum"  # key of what the Parquet file carries next to the table
_SHOWN = 5  # names in an error's list
_EXAMPLES = 3  # names next to a count of what was left out


def assemble_manifest(
    rows: Rows,
    dataset: str,
    left_out: Sequence[LeftOut] = (),
    notes: Sequence[str] = (),
    root: str | Path | None = None,
) -> Manifest:
    """Make a manifest of `rows`, each with a `path` and whatever other columns are known.

    `sample_id` is "<dataset>/<path below root>" unless the row brings its own; without `root` the
    folder common to all paths is the root. Columns not given are filled in as missing, patients
    are prefixed with "<dataset>:", spellings of sex, view and modality are made uniform.
    Raises HilumError for no rows, an unknown column or anything else that `check` refuses.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame.from_records(list(rows))
    _require_rows(frame, dataset, left_out)
    table, remarks = tidy(frame, dataset, None if root is None else as_path(root))
    require_manifest(table)
    return Manifest(table, tuple(left_out), (*notes, *remarks))


def _require_rows(rows: pd.DataFrame, dataset: str, left_out: Sequence[LeftOut]) -> None:
    if len(rows) == 0:
        because = f" ({_reasons_in_words(left_out)})" if left_out else ""
        raise HilumError(
            f"{dataset!r} must have at least one image; got none{because}; "
            "check the folder that you named."
        )


def _reasons_in_words(left_out: Sequence[LeftOut]) -> str:
    return "; ".join(f"{item.what}: {item.reason}" for item in summarise(left_out))


def summarise(left_out: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """One record per reason: the first few things by name and how many more there are."""
    by_reason: dict[str, list[LeftOut]] = {}
    for item in left_out:
        by_reason.setdefault(item.reason, []).append(item)
    return tuple(
        LeftOut(
            _abridged([item.what for item in items]),
            reason,
            sum(item.count for item in items),
            tuple(name for item in items for name in item.names or (item.what,)),
        )
        for reason, items in by_reason.items()
    )


def _abridged(names: Sequence[str]) -> str:
    more = len(names) - _EXAMPLES
    return ", ".join(names[:_EXAMPLES]) + (f" and {more:,} more" if more > 0 else "")


def _counted(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    dots = ", ..." if len(names) > _EXAMPLES else ""
    return f"{len(names):,} images ({', '.join(names[:_EXAMPLES])}{dots})"


def require_manifest(table: pd.DataFrame) -> None:
    """Raise HilumError unless `table` keeps the manifest's schema (types.MANIFEST_COLUMNS)."""
    require_columns(table, MANIFEST_COLUMNS, "a manifest")
    _require_present(table, "sample_id")
    _require_present(table, "path")
    repeated = table["sample_id"][table["sample_id"].duplicated()]
    if len(repeated):
        raise HilumError(
            f"each sample_id must name one image; got {_listed(repeated.unique())} more than once; "
            "remove the repeated rows."
        )
    if table["label"].notna().any():
        _require_present(table, "label")
    _require_among(table["sex"], _SEXES)
    _require_among(table["modality"], _MODALITIES)
    if not pd.api.types.is_numeric_dtype(table["age"]):
        raise HilumError(
            f"age must be a number of years; got {table['age'].dtype} values; correct it."
        )


def _require_present(table: pd.DataFrame, column: str) -> None:
    missing = table[column].isna()
    if missing.any():
        raise HilumError(
            f"every image must have a {column}; got {int(missing.sum())} of {len(table)} without "
            f"one ({_listed(table['sample_id'][missing])}); fill it in or leave those images out."
        )


def _require_among(values: pd.Series, allowed: set[str]) -> None:
    unknown = set(values.dropna().unique()) - allowed
    if unknown:
        raise HilumError(
            f"{values.name} must be {' or '.join(sorted(allowed))}, or missing; "
            f"got {_listed(sorted(unknown))}; correct those rows."
        )


def _listed(values: Iterable[object]) -> str:
    names = [repr(str(value)) for value in values]
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def require_classes(manifest: Manifest) -> list[str]:
    """Return the class names, sorted; raise HilumError unless there are at least two."""
    names = sorted(str(name) for name in manifest.table["label"].dropna().unique())
    if len(names) < 2:
        got = f"only {names[0]!r}" if names else "none"
        raise HilumError(
            f"at least two classes with images are needed; got {got}; add images of another class."
        )
    return names


def save_manifest(manifest: Manifest, path: str | Path) -> Path:
    """Write a manifest to one Parquet file, atomically, with what was left out and the notes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    require_manifest(manifest.table)
    beside = {
        "left_out": [
            [item.what, item.reason, item.count, list(item.names)] for item in manifest.left_out
        ],
        "notes": list(manifest.notes),
    }
    table = pa.Table.from_pandas(manifest.table, preserve_index=False)
    known = table.schema.metadata or {}
    table = table.replace_schema_metadata({**known, _METADATA: json.dumps(beside).encode()})
    with files.atomic_write(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)
    return Path(path)


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest from Parquet; relative image paths are meant from the file's own folder.

    Raises HilumError for a file that is no manifest. Whether the images still exist shows when
    they are read.
    """
    import pyarrow as pa

    file = as_path(path)
    try:
        frame, left_out, notes = _read_parquet(file)
    except (OSError, pa.ArrowException, ValueError, TypeError) as error:
        raise HilumError(
            f"{file} must be a manifest in Parquet; got: {_first_line(error)}; "
            "name a manifest.parquet that hilum wrote."
        ) from error
    known = [name for name in MANIFEST_COLUMNS if name != "site"]  # earlier versions wrote none
    require_columns(frame, known, f"the manifest {file}")
    frame = uniform(frame.reindex(columns=list(MANIFEST_COLUMNS)))
    _require_present(frame, "path")
    frame["path"] = [str(file.parent / name) for name in frame["path"]]
    require_manifest(frame)
    return Manifest(frame, left_out, notes)


def _read_parquet(file: Path) -> tuple[pd.DataFrame, tuple[LeftOut, ...], tuple[str, ...]]:
    import pyarrow.parquet as pq

    table = pq.read_table(file, page_checksum_verification=True)
    table.validate(full=True)  # text that is no UTF-8 would crash later
    beside = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
    if not isinstance(beside, dict):
        raise TypeError(f"{type(beside).__name__} next to the table")
    left_out = tuple(_left_out(*row) for row in beside.get("left_out", []))
    notes = tuple(str(note) for note in beside.get("notes", []))
    return table.to_pandas(ignore_metadata=True), left_out, notes


def _left_out(what: object, why: object, count: int = 1, names: Sequence[object] = ()) -> LeftOut:
    """A stored row; earlier versions wrote no names, and before that no count."""
    return LeftOut(str(what), str(why), count, tuple(map(str, names)))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def concat(manifests: Sequence[Manifest]) -> Manifest:
    """Put manifests under one another; raise HilumError where two share a sample_id."""
    if not manifests:
        raise HilumError("at least one manifest is needed to combine; got 0; name a dataset.")
    table = pd.concat([item.table for item in manifests], ignore_index=True)
    require_manifest(table)
    left_out = tuple(item for manifest in manifests for item in manifest.left_out)
    notes = dict.fromkeys(note for manifest in manifests for note in manifest.notes)
    return Manifest(table, left_out, tuple(notes))


def select(manifest: Manifest, mask: npt.ArrayLike | pd.Series, reason: str) -> Manifest:
    """Keep the rows where `mask` (image,) is true; the others count in `left_out` with `reason`.

    Raises HilumError where the mask does not fit or nothing would be left.
    """
    keep = np.asarray(mask, dtype=bool)
    if keep.shape != (len(manifest.table),):
        raise HilumError(
            f"a selection must have one value for each of {len(manifest.table)} images; "
            f"got shape {keep.shape}; make it from this manifest's table."
        )
    names = [str(name) for name in manifest.table["sample_id"][~keep]]
    dropped = [LeftOut(_counted(names), reason, len(names), tuple(names))] if names else []
    kept = manifest.table[keep].reset_index(drop=True)
    _require_rows(kept, "the selection", dropped)
    return Manifest(kept, (*manifest.left_out, *dropped), manifest.notes)
