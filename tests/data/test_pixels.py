"""The pixel store: decoded once, in order, whatever was killed, damaged or running beside it."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from hilum import files, images
from hilum.data import decoded_film, fingerprints, prepared_dataset
from hilum.data.pixel_store import RECORD, Segment, open_store
from hilum.types import MANIFEST_COLUMNS, Grey8, GreyImage, HilumError, LeftOut, Manifest

if TYPE_CHECKING:
    from peak_memory import PeakMemory


@dataclass(frozen=True)
class Small:
    """A preparation as simple as they come: area-averaged to `shape`."""

    shape: tuple[int, int] = (24, 20)
    decode_side: int | None = None
    digest: str = "small"

    def __call__(self, pixels: GreyImage) -> Grey8:
        small = cv2.resize(pixels, self.shape[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache"
    monkeypatch.setenv("HILUM_CACHE", str(home))
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve different pictures, as PNG and JPEG."""
    where = tmp_path / "images"
    where.mkdir()
    for number in range(12):
        rng = np.random.default_rng(number)
        picture = cv2.GaussianBlur(rng.uniform(0, 255, (60, 50)), (0, 0), 2).astype(np.uint8)
        cv2.imwrite(str(where / f"{number:02d}.{'png' if number % 2 else 'jpg'}"), picture)
    return where


def manifest_of(paths: list[Path]) -> Manifest:
    table = pd.DataFrame(
        {name: pd.Series([pd.NA] * len(paths), dtype="str") for name in MANIFEST_COLUMNS}
    )
    table["path"] = [str(path) for path in paths]
    table["sample_id"] = [f"set/{path.name}" for path in paths]
    return Manifest(table)


def every(folder: Path) -> Manifest:
    return manifest_of(sorted(folder.iterdir()))


def expected(manifest: Manifest, prepares: Small) -> np.ndarray:
    paths = manifest.table["path"]
    return np.stack([prepares(images.read(path).pixels) for path in paths])


def test_all_images_in_the_manifests_order(folder: Path) -> None:
    manifest = every(folder)
    turned = Manifest(manifest.table.iloc[::-1])
    for given in (manifest, turned):
        taken = prepared_dataset.prepare_dataset(given, Small(), workers=3)
        np.testing.assert_array_equal(taken.pixels.stack, expected(given, Small()))
        assert list(taken.pixels.sample_ids) == list(given.table["sample_id"])
        assert taken.fingerprints.sample_ids == taken.pixels.sample_ids
    assert taken.decoded == 0  # turned round, the same images are copied, not decoded


def test_second_call_decodes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared_dataset.prepare_dataset(every(folder), Small())
    monkeypatch.setattr(images, "read", None)  # a call would raise TypeError
    second = prepared_dataset.prepare_dataset(every(folder), Small())
    assert (first.decoded, second.decoded) == (12, 0)
    np.testing.assert_array_equal(first.pixels.stack, second.pixels.stack)
    assert first.pixels.digest == second.pixels.digest
    pd.testing.assert_frame_equal(first.facts, second.facts)
    assert first.fingerprints.pixels_sha256 == second.fingerprints.pixels_sha256
    np.testing.assert_array_equal(first.fingerprints.thumbnails, second.fingerprints.thumbnails)


def test_each_file_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    lock, read = threading.Lock(), images.read

    def counted(path: str, at_least: int | None = None, **kept: bool) -> images.read_image.Image:
        with lock:
            seen.append(path)
        return read(path, at_least, **kept)

    monkeypatch.setattr(images, "read", counted)
    taken = prepared_dataset.prepare_dataset(every(folder), Small(), workers=4)
    assert sorted(seen) == sorted(taken.manifest.table["path"])
    assert taken.decoded == len(seen)


def test_only_new_images_are_decoded(folder: Path) -> None:
    manifest = every(folder)
    prepared_dataset.prepare_dataset(Manifest(manifest.table.iloc[:7]), Small())
    taken = prepared_dataset.prepare_dataset(manifest, Small())
    assert taken.decoded == 5
    np.testing.assert_array_equal(taken.pixels.stack, expected(manifest, Small()))
    part = Manifest(manifest.table.iloc[[9, 2, 4]].reset_index(drop=True))
    taken = prepared_dataset.prepare_dataset(part, Small())
    assert taken.decoded == 0
    np.testing.assert_array_equal(taken.pixels.stack, expected(part, Small()))


def test_content_counts_not_the_name(folder: Path) -> None:
    first = prepared_dataset.prepare_dataset(every(folder), Small())
    for path in sorted(folder.iterdir()):
        path.rename(path.with_name(f"new-{path.name}"))
    moved = prepared_dataset.prepare_dataset(every(folder), Small())
    assert moved.decoded == 0
    assert moved.pixels.digest == first.pixels.digest


def test_changed_file_is_decoded_anew_although_the_manifest_knows_its_old_hash(
    folder: Path,
) -> None:
    first = prepared_dataset.prepare_dataset(every(folder), Small())
    cv2.imwrite(str(folder / "03.png"), np.full((40, 40), 77, np.uint8))
    second = prepared_dataset.prepare_dataset(first.manifest, Small())
    assert second.decoded == 1
    assert second.pixels.stack[3].tolist() == np.full((24, 20), 77).tolist()
    assert second.pixels.digest != first.pixels.digest


@pytest.mark.parametrize(
    "other", [Small(digest="other"), Small(shape=(12, 12)), Small(decode_side=8)]
)
def test_another_preparation_is_another_store(folder: Path, other: Small) -> None:
    first = prepared_dataset.prepare_dataset(every(folder), Small())
    second = prepared_dataset.prepare_dataset(every(folder), other)
    assert second.decoded == 12
    assert second.pixels.stack.shape == (12, *other.shape)
    assert second.pixels.digest != first.pixels.digest


def test_files_with_the_same_bytes_each_have_a_row(folder: Path) -> None:
    (folder / "99.png").write_bytes((folder / "01.png").read_bytes())
    taken = prepared_dataset.prepare_dataset(every(folder), Small())
    assert len(taken.pixels.stack) == 13
    np.testing.assert_array_equal(taken.pixels.stack[12], taken.pixels.stack[1])
    assert taken.fingerprints.bytes_sha256[12] == taken.fingerprints.bytes_sha256[1]
    assert prepared_dataset.prepare_dataset(every(folder), Small()).decoded == 0


def test_unreadable_images_are_left_out_and_the_run_goes_on(folder: Path) -> None:
    (folder / "05.png").write_bytes((folder / "05.png").read_bytes()[:200])
    (folder / "06.jpg").write_text("no image")
    manifest = every(folder)
    before = Manifest(manifest.table, (LeftOut("x", "was out before"),), ("a note",))
    (folder / "07.png").unlink()
    taken = prepared_dataset.prepare_dataset(before, Small())
    assert len(taken.pixels.stack) == len(taken.manifest.table) == len(taken.facts) == 9
    assert [Path(item.what).name for item in taken.left_out] == ["x", "07.png", "05.png", "06.jpg"]
    assert all(item.reason for item in taken.left_out)
    assert not any(item.reason.startswith(item.what) for item in taken.left_out)
    assert taken.manifest.notes == ("a note",)
    np.testing.assert_array_equal(taken.pixels.stack, expected(taken.manifest, Small()))
    again = prepared_dataset.prepare_dataset(before, Small())
    assert again.decoded == 0
    assert [item.what for item in again.left_out] == [item.what for item in taken.left_out]


def test_no_readable_image_is_an_error(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"nothing" + path.name.encode())
    with pytest.raises(HilumError, match=r"at least one readable image; got none, .*11\.png: "):
        prepared_dataset.prepare_dataset(every(folder), Small())


def test_no_file_at_all_is_an_error(folder: Path) -> None:
    manifest = every(folder)
    for path in list(folder.iterdir()):
        path.unlink()
    with pytest.raises(HilumError, match=r"got none, for instance .*No such file"):
        prepared_dataset.prepare_dataset(manifest, Small())


def test_broken_preparation_is_an_error_not_a_left_out_image(folder: Path) -> None:
    @dataclass(frozen=True)
    class Wrong(Small):
        def __call__(self, pixels: GreyImage) -> Grey8:
            return np.zeros((3, 3), np.uint8)

    with pytest.raises(HilumError, match=r"shape \(24, 20\); got uint8 of shape \(3, 3\)"):
        prepared_dataset.prepare_dataset(every(folder), Wrong())


def test_manifest_gets_the_files_hashes(folder: Path) -> None:
    taken = prepared_dataset.prepare_dataset(every(folder), Small())
    hashes = [sha256(Path(p).read_bytes()).hexdigest() for p in taken.manifest.table["path"]]
    assert taken.manifest.table["sha256"].tolist() == hashes
    assert list(taken.fingerprints.bytes_sha256) == hashes


def test_fingerprints_are_those_of_the_decoded_image(folder: Path) -> None:
    taken = prepared_dataset.prepare_dataset(every(folder), Small())
    own = fingerprints.fingerprint(images.read(folder / "04.jpg").pixels)
    assert taken.fingerprints.pixels_sha256[4] == own.pixels_sha256.tobytes().hex()
    np.testing.assert_array_equal(taken.fingerprints.perceptual[4], own.perceptual)
    np.testing.assert_array_equal(taken.fingerprints.thumbnails[4], own.thumbnail)


def test_facts_by_hand(tmp_path: Path) -> None:
    picture = np.zeros((40, 30), np.uint8)
    picture[:10] = 255
    picture[10:20] = 100
    path = tmp_path / "one.png"
    cv2.imwrite(str(path), picture)
    facts = prepared_dataset.prepare_dataset(manifest_of([path]), Small()).facts
    row = facts.loc["set/one.png"]
    assert (row["format"], row["width"], row["height"], row["bits"]) == ("PNG", 30, 40, 8)
    assert row["bytes"] == path.stat().st_size
    assert row["mean"] == pytest.approx(255 / 4 + 100 / 4)
    assert row["std"] == pytest.approx(np.std([255, 100, 0, 0]))
    assert (row["dark"], row["bright"]) == (0.5, 0.25)


def test_bytes_are_counted_as_any_grey_level_is() -> None:
    film = np.random.default_rng(3).integers(0, 256, (61, 90), np.uint8)
    for view in (film, film[::2, ::-1], film[:1, :1], np.zeros((5, 4), np.uint8)):
        np.testing.assert_allclose(
            decoded_film._of_bytes(view), decoded_film._of_any(view), rtol=1e-12
        )
        assert decoded_film._of_bytes(view)[2:] == decoded_film._of_any(view)[2:]


def test_16_bit_images_have_facts_on_the_8_bit_scale(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.full((20, 20), 32768, np.uint16))
    row = prepared_dataset.prepare_dataset(
        manifest_of([path]), prepared_dataset.ThumbnailOnly()
    ).facts.iloc[0]
    assert row["mean"] == pytest.approx(127.5, abs=0.01)
    assert row["bits"] == 16


def test_miniature_keeps_the_thumbnails(folder: Path) -> None:
    taken = prepared_dataset.prepare_dataset(every(folder), prepared_dataset.ThumbnailOnly())
    np.testing.assert_array_equal(taken.pixels.stack, taken.fingerprints.thumbnails)


def test_progress_ends_at_the_total(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    prepared_dataset.prepare_dataset(every(folder), Small(), lambda *at: calls.append(at))
    assert calls == [(i, 12) for i in range(1, 13)]
    calls.clear()
    prepared_dataset.prepare_dataset(every(folder), Small(), lambda *at: calls.append(at))
    assert calls == [(12, 12)]


def segment_of(prepares: Small) -> Segment:
    (segment,) = open_store(prepares).segments()
    return segment


def unseal(segment: Segment, pixel_bytes: int, record_bytes: int) -> None:
    """Make a sealed segment what a writer killed at that point would have left."""
    for file, size in zip(segment.files, (pixel_bytes, record_bytes), strict=True):
        os.truncate(file, size)
        file.rename(file.with_name(f"part-killed{file.suffix}"))


@pytest.mark.parametrize(
    ("images_left", "records_left", "kept"),
    [(5, 5, 5), (5.5, 5.5, 5), (7, 5.3, 5), (5, 7, 5), (0, 0, 0), (0.5, 3, 0)],
)
def test_killed_writers_images_are_not_decoded_again(
    folder: Path, images_left: float, records_left: float, kept: int
) -> None:
    prepared_dataset.prepare_dataset(every(folder), Small())
    unseal(segment_of(Small()), int(images_left * 24 * 20), int(records_left * RECORD.itemsize))
    taken = prepared_dataset.prepare_dataset(every(folder), Small())
    assert taken.decoded == 12 - kept
    np.testing.assert_array_equal(taken.pixels.stack, expected(every(folder), Small()))


@pytest.mark.parametrize("which", [0, 1])
def test_damaged_bytes_are_noticed_and_decoded_again(folder: Path, which: int) -> None:
    """A power cut can leave holes: pixels (0) or records (1) that are not what was written."""
    prepared_dataset.prepare_dataset(every(folder), Small())
    segment = segment_of(Small())
    unseal(segment, 12 * 24 * 20, 12 * RECORD.itemsize)
    file = segment_of(Small()).files[which]
    content = bytearray(file.read_bytes())
    content[len(content) * 5 // 12 + 100] ^= 0xFF  # in the sixth image
    file.write_bytes(content)
    taken = prepared_dataset.prepare_dataset(every(folder), Small())
    assert taken.decoded == 1
    np.testing.assert_array_equal(taken.pixels.stack, expected(every(folder), Small()))


def test_stored_images_that_are_looked_through_take_no_memory(peak_memory: "PeakMemory") -> None:
    """10,000 of 32 x 32 pixels are 22 MB with their records: mapped pages that are touched stay."""
    count, store = 10_000, open_store(prepared_dataset.ThumbnailOnly())
    manifest = manifest_of([Path(f"/gone/{number}.png") for number in range(count)])
    keys = [sha256(str(number).encode()) for number in range(count)]
    manifest.table["sha256"] = [key.hexdigest() for key in keys]
    image, record = np.zeros((32, 32), np.uint8), np.zeros((), RECORD)
    with store.writing() as writer:
        for key in keys:
            record["bytes_sha256"] = np.frombuffer(key.digest(), np.uint8)
            writer.append(image, record)
    store.seal(writer.segment, [key.digest() for key in keys])
    with peak_memory() as grown:
        found, taken = prepared_dataset.stored_dataset(manifest, prepared_dataset.ThumbnailOnly())
    assert taken is not None
    assert found == len(taken.fingerprints.thumbnails) == count
    assert taken.fingerprints.bytes_sha256[7] == keys[7].hexdigest()
    assert grown() < 20e6  # some 9 MB; the allocator of a busy process adds a few
    with peak_memory() as grown:
        assert len(store.places()) == count
    assert grown() < 12e6


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_pixels import Small, every
from hilum.data import prepared_dataset

def stop(done, total):
    if done == 100:
        os._exit(9)

prepared_dataset.prepare_dataset(every(Path({folder!r})), Small(), stop, 2)
"""


def script(text: str, **values: str) -> subprocess.Popen[bytes]:
    code = textwrap.dedent(text).format(tests=str(Path(__file__).parent), **values)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def many(folder: Path, count: int) -> None:
    for number in range(count):
        picture = np.random.default_rng(number).integers(0, 255, (30, 30), dtype=np.uint8)
        cv2.imwrite(str(folder / f"x{number:03d}.png"), picture)


def test_a_process_that_dies_loses_at_most_one_batch(folder: Path) -> None:
    many(folder, 138)
    process = script(KILLED, folder=str(folder))
    process.communicate()
    assert process.returncode == 9
    taken = prepared_dataset.prepare_dataset(every(folder), Small())
    assert 150 - 100 <= taken.decoded <= 150 - 64
    np.testing.assert_array_equal(taken.pixels.stack, expected(every(folder), Small()))
    assert prepared_dataset.prepare_dataset(every(folder), Small()).decoded == 0


BESIDE = """
import hashlib, json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_pixels import Small, every
from hilum.data import prepared_dataset
taken = prepared_dataset.prepare_dataset(every(Path({folder!r})), Small())
print(json.dumps([taken.pixels.digest, hashlib.sha256(taken.pixels.stack.tobytes()).hexdigest()]))
"""


def test_processes_beside_each_other_agree(folder: Path) -> None:
    many(folder, 60)
    running = [script(BESIDE, folder=str(folder)) for _ in range(3)]
    answers = [json.loads(process.communicate()[0]) for process in running]
    own = prepared_dataset.prepare_dataset(every(folder), Small())
    content = sha256(expected(every(folder), Small()).tobytes()).hexdigest()
    assert answers == [[own.pixels.digest, content]] * 3
    assert own.decoded == 0
    assert len(open_store(Small()).segments()) == 1  # the slower writers took theirs away


def test_old_leftovers_are_swept_and_fresh_ones_stay(folder: Path) -> None:
    manifest = every(folder)
    prepared_dataset.prepare_dataset(Manifest(manifest.table.iloc[:3]), Small())
    segment = segment_of(Small())
    for age, name in ((8, "part-old"), (6, "part-new")):
        for file in segment.files:
            copy = file.with_name(name + file.suffix)
            copy.write_bytes(file.read_bytes())
            then = copy.stat().st_mtime - age * 24 * 3600
            os.utime(copy, (then, then))
    prepared_dataset.prepare_dataset(manifest, Small())
    names = {segment.base.name for segment in open_store(Small()).segments()}
    assert "part-new" in names
    assert "part-old" not in names


def test_full_disk_is_one_sentence(folder: Path, own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    with pytest.raises(HilumError, match="must be written; got"):
        prepared_dataset.prepare_dataset(every(folder), Small())


def test_file_that_changes_after_it_was_hashed_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = images.read

    def slow(path: str, at_least: int | None = None, **kept: bool) -> images.read_image.Image:
        if Path(path).name == "03.png":
            Path(path).write_bytes((folder / "01.png").read_bytes())
        return read(path, at_least, **kept)

    monkeypatch.setattr(images, "read", slow)
    taken = prepared_dataset.prepare_dataset(every(folder), Small())
    assert [item.reason for item in taken.left_out] == [
        "expected a file that does not change, got one that changed since it was hashed; try again."
    ]


def test_memory_stays_flat(folder: Path) -> None:
    """64 MiB of prepared images go through less than a quarter of that."""
    many(folder, 52)
    large = Small(shape=(1024, 1024))
    prepared_dataset.prepare_dataset(manifest_of([folder / "01.png"]), large, workers=1)  # imports
    tracemalloc.start()
    taken = prepared_dataset.prepare_dataset(every(folder), large, workers=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken.pixels.stack.nbytes == 64 * 2**20
    assert peak < 16 * 2**20


def test_scaled_decode_reaches_the_decoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[int | None] = set()
    read = images.read

    def noting(path: str, at_least: int | None = None, **kept: bool) -> images.read_image.Image:
        asked.add(at_least)
        return read(path, at_least, **kept)

    monkeypatch.setattr(images, "read", noting)
    prepared_dataset.prepare_dataset(every(folder), Small(decode_side=16))
    assert asked == {16}


def test_real_images(shared: Path) -> None:
    paths = sorted((shared / "covid-chestxray-dataset" / "images").iterdir())[:40]
    manifest = manifest_of(paths)
    taken = prepared_dataset.prepare_dataset(manifest, Small())
    assert taken.decoded == 40
    assert prepared_dataset.prepare_dataset(manifest, Small()).decoded == 0
    assert files.sha256(paths[0]) == taken.fingerprints.bytes_sha256[0]
