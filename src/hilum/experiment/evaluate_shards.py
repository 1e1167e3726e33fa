"""Labelled films decoded, prepared and seen by the network, by several processes or in parts.

A part has what one process would have put into the pixel store, and the features: scores, audits
and report follow from them in the command, as they do without parts.
"""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.data.decoded_film import DecodesFile, Fresh, Hashed, hash_file
from hilum.data.pixel_store import RECORD
from hilum.data.source_images import keeping
from hilum.experiment import shard_model, shards
from hilum.experiment.answering import CHUNK
from hilum.experiment.shards import Shard, Watch
from hilum.experiment.spread import Spread
from hilum.inference.model import Features, TrainedModel
from hilum.preprocess import Pipeline
from hilum.progress import Progress
from hilum.types import Floats, Manifest, Pixels


@dataclass(frozen=True, slots=True)
class SeenPart:
    """A shard's films; their pixels stay in the part until they are asked for."""

    path: Path
    hashes: list[Hashed]  # (file,)
    faults: list[str]  # (file,) why it was not decoded, or ""
    plain: Floats  # (film, feature) of those that were
    mirror: Floats | None

    @property
    def decoded(self) -> npt.NDArray[np.bool_]:
        """(file,) whether it was decoded."""
        return np.array([fault == "" for fault in self.faults], bool)

    def films(self, places: Sequence[int]) -> Iterator[Fresh | str]:
        """What the files at these places were decoded to, or why they could not be."""
        if not places:
            return
        among = np.cumsum(self.decoded) - 1
        with np.load(self.path, allow_pickle=False) as stored:
            pixels, records = stored["pixels"], stored["records"]
        for place in places:
            row = among[place]
            yield self.faults[place] or (pixels[row], records[row].copy())


@dataclass(frozen=True, slots=True)
class SeenWork:
    """A model's preparation and network see a shard's files."""

    model: Path
    model_key: str

    def carry_out(self, shard: Shard, watch: Watch) -> None:
        """As shards.Work says; HilumError where the model is another one now."""
        model = shard_model.held_model(self.model, self.model_key)
        hashes: list[Hashed] = []
        faults: list[str] = []
        fresh: list[Fresh] = []
        seen: list[Features] = []
        for chunk in _decoded(shard.paths, model.pipeline, watch):
            films = [film for _, film in chunk if not isinstance(film, str)]
            hashes += [one for one, _ in chunk]
            faults += [film if isinstance(film, str) else "" for _, film in chunk]
            if films:
                seen.append(model.features(np.stack([pixels for pixels, _ in films])))
            fresh += films
            watch.done(len(hashes))
        _write(shard, model, hashes, faults, fresh, seen)


def _decoded(
    paths: Sequence[str], pipeline: Pipeline, watch: Watch
) -> Iterator[list[tuple[Hashed, Fresh | str]]]:
    """Files by the chunk; the next one is decoded while the network sees this one."""
    with keeping(wanted=False) as keep:  # its machine may not be that of the command
        decodes = DecodesFile(pipeline, keep)

        def one(path: str) -> tuple[Hashed, Fresh | str]:
            watch.reading(Path(path))
            hashed = hash_file(path)
            return hashed, decodes(path, hashed[0]) if hashed[0] else hashed[1]

        yield from files.mapped_ahead(one, paths, CHUNK)


def _write(
    shard: Shard,
    model: TrainedModel,
    hashes: list[Hashed],
    faults: list[str],
    fresh: list[Fresh],
    seen: list[Features],
) -> None:
    width = model.runtime.facts.outputs
    none = [np.zeros((0, width), np.float32)]
    pixels = np.array([pixels for pixels, _ in fresh], np.uint8)
    with shard.writing() as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            sha256=np.array([key for key, _ in hashes], np.str_),
            faults=np.array(faults, np.str_),
            pixels=pixels.reshape(len(fresh), *model.pipeline.shape),
            records=np.array([record for _, record in fresh], RECORD),
            plain=np.concatenate([plain for plain, _ in seen] or none),
            mirror=np.concatenate([other for _, other in seen if other is not None] or none),
        )


def read_part(shard: Shard, mirror: bool) -> SeenPart | None:
    """A shard's films, or None where they are not there, or not as they were written."""
    try:
        if not shard.is_whole():
            return None
        with np.load(shard.part, allow_pickle=False) as stored:
            keys, faults = stored["sha256"].tolist(), stored["faults"].tolist()
            hashes = [(key, "" if key else fault) for key, fault in zip(keys, faults, strict=True)]
            other = stored["mirror"] if mirror else None
            return SeenPart(shard.part, hashes, faults, stored["plain"], other)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None


@dataclass(slots=True)
class SeenElsewhere:
    """All films of a manifest, as `prepare_dataset` takes them, and their features."""

    parts: Sequence[SeenPart]
    sample_ids: Sequence[str]  # (file,)
    _starts: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Count where each part begins."""
        self._starts = np.cumsum([0, *(len(part.faults) for part in self.parts)])

    def hashes(self) -> Sequence[Hashed]:
        """Of every file."""
        return [one for part in self.parts for one in part.hashes]

    def films(self, rows: Sequence[int]) -> Iterator[Fresh | str]:
        """What rows, in ascending order, were decoded to; one part's pixels at a time."""
        asked, edges = np.array(rows, np.int64), self._starts
        for number, part in enumerate(self.parts):
            inside = (asked >= edges[number]) & (asked < edges[number + 1])
            yield from part.films((asked[inside] - edges[number]).tolist())

    def features(self, pixels: Pixels) -> Features:
        """Of these images (image, feature), and of their mirrors."""
        decoded = np.concatenate([part.decoded for part in self.parts])
        among = np.cumsum(decoded) - 1
        row = dict(zip(self.sample_ids, among.tolist(), strict=True))
        rows = [row[name] for name in pixels.sample_ids]
        mirrors = [part.mirror for part in self.parts if part.mirror is not None]
        plain = np.concatenate([part.plain for part in self.parts])[rows]
        return plain, np.concatenate(mirrors)[rows] if mirrors else None


@contextmanager
def seen_elsewhere(
    folder: Path, model: TrainedModel, manifest: Manifest, out: Path, spread: Spread,
    progress: Progress,
) -> Iterator[SeenElsewhere]:  # fmt: skip
    """All films of a manifest in parts in the folder `out`; they are removed when all is done.

    Raises as `shards.all_parts` does.
    """
    shard_model.require_processor(model)
    spread.check()
    key, mirror = shard_model.model_key(folder, model), model.facts.mirror
    work = SeenWork(folder, key)
    batch = shards.Batch(
        [Path(path) for path in manifest.table["path"]],
        files.stable_digest("evaluate", key),
        lambda _: work,
        lambda shard: read_part(shard, mirror),
        "predict",
        "predicted",
    )
    with shards.parts_folder(out / shards.INSIDE, spread.resume) as parts:
        found = shards.all_parts(batch, parts, spread, progress)
        yield SeenElsewhere(found, [str(name) for name in manifest.table["sample_id"]])
