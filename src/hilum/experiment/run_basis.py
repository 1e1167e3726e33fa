"""What the figures of a run depend on: a resumed run never mixes two versions of it.

Decision 0012 says what counts and why.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hilum import files
from hilum.files import ours
from hilum.files.versions import FITS, IMAGES, NETWORKS
from hilum.types import HilumError, Split

NAME = ours.BASIS
STUDY = "the study"  # names of sets: what a change is reported of
LATER = "the later films"
SOURCE = "the source task"
# a change of an image, in words, by column; its path is no part of it
COLUMN_CHANGES = {
    "sha256": "other bytes",
    "label": "another label",
    "patient_id": "another patient",
    "source": "another source",
    "site": "another site",
    "view": "another view",
    "modality": "another modality",
    "age": "another age",
    "sex": "another sex",
    "official_part": "another part of the given split",
    "mask": "another lung mask",
}
VERSIONS = files.releases(*NETWORKS, *FITS, *IMAGES)
_METADATA = b"hilum"
_SHOWN = 3


class ChangedError(HilumError):
    """Images, labels, weights or versions are no longer those that a run was begun with."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Rows (set, sample_id, keys of COLUMN_CHANGES) of every image, and what else counts."""

    images: pd.DataFrame
    facts: Mapping[str, str]  # such as "the weights of resnet50" -> a digest


def basis_rows(table: pd.DataFrame, of: str) -> pd.DataFrame:
    """Rows of a Basis from a manifest's table whose `sha256` is filled in."""
    masks = [_bytes(path) for path in table["mask_path"]]
    rows = table.assign(mask=pd.Series(masks, index=table.index, dtype="str"), set=of)
    return rows[["set", "sample_id", *COLUMN_CHANGES]].astype("str").where(rows.notna(), "")


def _bytes(path: object) -> str:
    """Digest of a mask's bytes, or "" where there is none."""
    try:
        return "" if pd.isna(path) else files.sha256(str(path))
    except OSError:
        return "unreadable"


def of_split(split: Split) -> str:
    """Digest of each image's part in each fold."""
    table = split.table.sort_values(["fold", "sample_id"])
    return files.stable_digest(table[["fold", "part", "sample_id"]].to_csv(index=False))


def of_file(path: Path) -> str:
    """Digest of a file's bytes, or of all files below a folder."""
    if not path.is_dir():
        return files.sha256(path)
    inside = sorted(item for item in path.rglob("*") if item.is_file())
    return files.stable_digest(
        *[[str(item.relative_to(path)), files.sha256(item)] for item in inside]
    )


def write_basis(basis: Basis, folder: Path) -> None:
    """`basis.parquet`."""
    table = pa.Table.from_pandas(basis.images, preserve_index=False)
    facts = {_METADATA: json.dumps(dict(basis.facts)).encode()}
    with files.atomic_write(folder / NAME) as temporary:
        pq.write_table(table.replace_schema_metadata(facts), temporary)


def read_basis(folder: Path) -> Basis | None:
    """What was written, or None where there is none that can be read."""
    try:
        table = pq.read_table(folder / NAME)
        facts = json.loads((table.schema.metadata or {})[_METADATA])
        images = table.to_pandas(ignore_metadata=True)
        return Basis(images[["set", "sample_id", *COLUMN_CHANGES]], facts)
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def require_same(out: Path, before: Basis | None, now: Basis) -> None:
    """Raise ChangedError, naming what changed, unless a run may go on."""
    wanted = (
        f"--resume needs the images, labels, weights and versions that {str(out)!r} was started"
    )
    way = "restore them, choose another --out, or leave --resume out to start again."
    if before is None:
        raise ChangedError(
            f"{wanted} with; got no record of them there ({NAME}), as from an earlier "
            "version; choose another --out, or leave --resume out to start again."
        )
    changed = list(changes(before, now))
    if changed:
        raise ChangedError(f"{wanted} with; got {'; '.join(changed)}; {way}")


def changes(before: Basis, now: Basis) -> Iterator[str]:
    """What is no longer the same, in words; nothing where all of it is."""
    images_changed = False
    for name in dict.fromkeys([*before.images["set"], *now.images["set"]]):
        sides = [side.images[side.images["set"] == name] for side in (before, now)]
        for sentence in _image_changes(*(side.set_index("sample_id") for side in sides)):
            images_changed = True
            yield sentence if name == STUDY else f"{sentence} in {name}"
    for name in dict.fromkeys([*before.facts, *now.facts]):
        was, is_ = before.facts.get(name, "none"), now.facts.get(name, "none")
        # another split follows from other images: once is enough
        if was != is_ and not (images_changed and name.startswith("the split")):
            plain = name in VERSIONS
            yield f"{name} {is_} instead of {was}" if plain else f"different: {name}"


def _image_changes(before: pd.DataFrame, now: pd.DataFrame) -> Iterator[str]:
    removed, added = before.index.difference(now.index), now.index.difference(before.index)
    if len(removed):
        yield f"{_count_and_names(removed)} no longer there"
    if len(added):
        yield f"{_count_and_names(added)} not there before"
    both = before.index.intersection(now.index)
    for column, words in COLUMN_CHANGES.items():
        differ = (before.loc[both, column] != now.loc[both, column]).to_numpy(dtype=bool)
        if differ.any():
            yield f"{_count_and_names(both[differ])} with {words}"


def _count_and_names(names: Sequence[str] | pd.Index) -> str:
    shown = ", ".join(map(str, names[:_SHOWN]))
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{len(names):,} image{'s' if len(names) > 1 else ''} ({shown}{more})"
