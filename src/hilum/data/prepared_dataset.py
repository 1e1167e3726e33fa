"""Ingest: decode each file once into prepared pixels, fingerprints and facts; never again."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum import files, images
from hilum.data.decoded_film import DecodedElsewhere, DecodesFile, Fresh, Hashed, hash_file
from hilum.data.fingerprints import THUMBNAIL_SIDE, thumbnail
from hilum.data.pixel_store import NUMBERS, Segment, Store, Writer, open_store
from hilum.data.source_images import keeping, open_source_images
from hilum.progress import Advance, note
from hilum.types import (
    Fingerprints,
    Grey8,
    GreyImage,
    HilumError,
    LeftOut,
    Manifest,
    Pixels,
    Prepares,
)

Done = TypeVar("Done")

_AHEAD = 4  # images decoded ahead of the writer, per thread: bounds the memory


@dataclass(frozen=True, slots=True)
class PreparedDataset:
    """Prepared pixels, fingerprints and facts of the readable images, in the manifest's order."""

    pixels: Pixels
    fingerprints: Fingerprints
    manifest: Manifest  # readable images only, sha256 filled in; left_out says which were not
    facts: pd.DataFrame  # by sample_id: format, width, height, bytes, bits; mean, std, dark, bright
    decoded: int  # files decoded by this call; 0 when all were in the store

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was not used, and why."""
        return self.manifest.left_out


@dataclass(frozen=True, slots=True)
class ThumbnailOnly:
    """A preparation for those who need fingerprints only: the thumbnail (32, 32) of the image."""

    digest: str = "miniature"
    shape: tuple[int, int] = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    decode_side: int | None = None

    def __call__(self, pixels: GreyImage) -> Grey8:
        """(height, width) of any size -> (32, 32)."""
        return thumbnail(pixels)


def prepare_dataset(
    manifest: Manifest,
    prepares: Prepares,
    progress: Advance | None = None,
    workers: int | None = None,
    keep_sources: bool = True,
    elsewhere: DecodedElsewhere | None = None,
) -> PreparedDataset:
    """Decode, prepare and fingerprint every image that the store does not hold yet.

    Memory stays flat: images go to disk as they come, and what is returned is mapped from there.
    `workers` threads decode, by default as many as the processor cores that this process may use;
    what they decode is kept for later readers (`source_images`), unless `keep_sources` is false.
    With `elsewhere` no file is read here: other processes have done all that. Unreadable images
    move to `left_out`. Raises HilumError where no image can be read, or where `prepares` breaks its
    promise of uint8 images of its shape.
    """
    workers = workers or files.available_cpus()
    job = _Preparation(open_store(prepares), prepares, progress, workers, keep_sources, elsewhere)
    hashes = elsewhere.hashes() if elsewhere is not None else _hashes(manifest, workers, progress)
    rows = [row for row, (key, _) in enumerate(hashes) if key]
    manifest = _with_hashes(manifest, hashes)
    del hashes  # as much memory as the manifest
    keys = [bytes.fromhex(key) for key in manifest.table["sha256"]]
    if segment := job.store.sealed(keys, tell=True):
        note(progress, "all from the cache")
        _report(progress, len(keys), len(keys))
        return _dataset_of(manifest, segment, 0)
    return _fill(manifest, keys, rows, job)


def stored_dataset(manifest: Manifest, prepares: Prepares) -> tuple[int, PreparedDataset | None]:
    """How many of a hashed manifest's images are in the store; all of them, where all are."""
    store = open_store(prepares)
    keys = [bytes.fromhex(key) for key in manifest.table["sha256"]]
    if segment := store.sealed(keys):
        return len(keys), _dataset_of(manifest, segment, 0)
    places = store.places()
    return sum(key in places for key in keys), None


def prepared_images(films: pd.DataFrame, prepares: Prepares) -> list[Grey8]:
    """The prepared images (height, width) of a manifest's rows, decoded only where none is stored.

    Raises HilumError where one can no longer be read.
    """
    places = open_store(prepares).places()
    return [
        _prepared(path, sha256, prepares, places.get(bytes.fromhex(sha256)))
        for path, sha256 in zip(films["path"], films["sha256"], strict=True)
    ]


def _prepared(
    path: str, sha256: str, prepares: Prepares, place: tuple[Segment, int] | None
) -> Grey8:
    if place is not None and Path(path).is_file() and place[0].intact(place[1]):
        return np.array(place[0].stack[place[1]])
    return prepares(open_source_images().read(path, sha256, prepares.decode_side))


@dataclass(frozen=True, slots=True)
class _Preparation:
    store: Store
    prepares: Prepares
    progress: Advance | None
    workers: int
    keep_sources: bool
    elsewhere: DecodedElsewhere | None


def _fill(
    manifest: Manifest, keys: list[bytes], rows: list[int], job: _Preparation
) -> PreparedDataset:
    """Decode what is missing into a segment of our own, then seal all images in order.

    `rows` (image,) are the places in the manifest that was asked for.
    """
    stored = job.store.places()
    wanted = {key: stored[key] for key in keys if key in stored}
    places = {key: (segment, row) for key, (segment, row) in wanted.items() if segment.intact(row)}
    missing = [row for row, key in enumerate(keys) if key not in places]
    note(job.progress, _new_and_known(len(missing), len(keys)))
    with job.store.writing() as writer:
        asked = [rows[row] for row in missing]
        faults = _decode(manifest.table.iloc[missing], asked, writer, job)
    decoded_rows = [row for row in missing if manifest.table["path"].iloc[row] not in faults]
    kept = _readable(manifest, missing, faults)
    kept_keys = [bytes.fromhex(key) for key in kept.table["sha256"]]
    if len(decoded_rows) == len(kept_keys):  # nothing was known: our segment is the whole, in order
        return _dataset_of(kept, job.store.seal(writer.segment, kept_keys), writer.written)
    places |= {keys[row]: (writer.segment, at) for at, row in enumerate(decoded_rows)}
    segment = job.store.sealed(kept_keys) or _copy_in_order(job.store, kept_keys, places)
    writer.segment.remove()
    return _dataset_of(kept, segment, writer.written)


def _new_and_known(missing: int, images: int) -> str:
    known = images - missing
    return f"{missing:,} to decode, {known:,} from the cache" if known else ""


def _decode(
    table: pd.DataFrame, rows: list[int], writer: Writer, job: _Preparation
) -> dict[str, str]:
    """Append every readable image in order; why the others are not, by path."""
    faults: dict[str, str] = {}
    paths = table["path"].tolist()
    for path, result in zip(paths, _results(table, rows, job), strict=True):
        if isinstance(result, str):
            faults[path] = result
        else:
            writer.append(*result)
        _report(job.progress, writer.written + len(faults), len(paths))
    return faults


def _results(table: pd.DataFrame, rows: list[int], job: _Preparation) -> Iterator[Fresh | str]:
    """What each file is decoded to, or why it cannot be, in order."""
    if job.elsewhere is not None:
        yield from job.elsewhere.films(rows)
        return
    wanted = list(zip(table["path"].tolist(), table["sha256"], strict=True))
    with keeping(job.keep_sources) as keep:
        yield from _in_order(DecodesFile(job.prepares, keep), wanted, job.workers)


def _readable(manifest: Manifest, missing: list[int], faults: dict[str, str]) -> Manifest:
    paths = manifest.table["path"]
    bad = [row for row in missing if paths.iloc[row] in faults]
    left_out = tuple(LeftOut(paths.iloc[row], faults[paths.iloc[row]]) for row in bad)
    table = manifest.table.drop(index=bad).reset_index(drop=True)
    return _not_empty(Manifest(table, (*manifest.left_out, *left_out), manifest.notes))


def _not_empty(manifest: Manifest) -> Manifest:
    if len(manifest.table):
        return manifest
    first = f"{manifest.left_out[-1].what}: {manifest.left_out[-1].reason}"
    raise HilumError(
        "expected at least one readable image; got none, for instance "
        f"{first.rstrip('.')}; check the files."
    )


def _copy_in_order(
    store: Store, keys: list[bytes], places: dict[bytes, tuple[Segment, int]]
) -> Segment:
    """Bring images from several segments together in one, in order."""
    with store.writing() as writer:
        for key in keys:
            segment, row = places[key]
            writer.append(segment.stack[row], segment.records[row].copy())
    return store.seal(writer.segment, keys)


def _in_order(
    work: Callable[..., Done], wanted: Iterable[tuple[str, ...]], workers: int
) -> Iterator[Done]:
    """Results in the order of `expected`, a bounded number of them ahead of the consumer."""
    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for words in wanted:
                waiting.append(pool.submit(work, *words))
                if len(waiting) > _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def hashed(
    manifest: Manifest, workers: int | None = None, progress: Advance | None = None
) -> Manifest:
    """Hash every file again: what an older manifest says may no longer be what is on disk."""
    return _with_hashes(manifest, _hashes(manifest, workers or files.available_cpus(), progress))


def _hashes(manifest: Manifest, workers: int, progress: Advance | None) -> list[Hashed]:
    hashes: list[Hashed] = []
    for done in _in_order(hash_file, zip(manifest.table["path"]), workers):
        hashes.append(done)
        note(progress, f"{len(hashes):,} of {len(manifest.table):,} files read")
    return hashes


def _with_hashes(manifest: Manifest, hashes: Sequence[Hashed]) -> Manifest:
    """The same with a hash for each file; those that could not be read are left out."""
    table = manifest.table.reset_index(drop=True)
    faults = [
        LeftOut(path, fault)
        for path, (key, fault) in zip(table["path"], hashes, strict=True)
        if not key
    ]
    table["sha256"] = pd.Series([key for key, _ in hashes], index=table.index, dtype="str")
    if faults:
        table = table[table["sha256"] != ""].reset_index(drop=True)
    return _not_empty(Manifest(table, (*manifest.left_out, *faults), manifest.notes))


def _dataset_of(manifest: Manifest, segment: Segment, decoded: int) -> PreparedDataset:
    ids = tuple(manifest.table["sample_id"])
    records = segment.summaries()
    facts = pd.DataFrame(
        np.array(records["numbers"]), columns=list(NUMBERS), index=pd.Index(ids, name="sample_id")
    )
    facts.insert(0, "format", [name.decode() for name in records["format"].tolist()])
    doubts = images.white_note(int(records["white_guessed"].sum()), len(ids))
    notes = tuple(dict.fromkeys((*manifest.notes, *doubts)))
    manifest = Manifest(manifest.table, manifest.left_out, notes)
    return PreparedDataset(
        Pixels(
            segment.stack, ids, files.stable_digest(segment.base.parent.name, segment.base.name)
        ),
        Fingerprints(
            ids,
            _hexadecimal(records["bytes_sha256"]),
            _hexadecimal(records["pixels_sha256"]),
            np.ascontiguousarray(records["perceptual"]),
            segment.records["thumbnail"],
        ),
        manifest,
        facts,
        decoded,
    )


def _hexadecimal(hashes: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(row.tobytes().hex() for row in np.ascontiguousarray(hashes))


def _report(progress: Advance | None, done: int, total: int) -> None:
    if progress:
        progress(done, total)
