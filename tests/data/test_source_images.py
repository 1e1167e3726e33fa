"""Source images: what a later reader gets is what the decoder would have given it."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from hilum import files, images, preprocess
from hilum.data import manifest as manifests
from hilum.data import prepared_dataset, source_images
from hilum.data.source_images import SourceImages, open_source_images
from hilum.types import GreyImage, HilumError, HilumWarning, Manifest

SIDES = (None, 1, 50, 75, 90, 150, 300, 2000)


@pytest.fixture(autouse=True)
def cold_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    true = images.read

    def read(path: str, at_least: int | None = None, *, hashed: bool = False) -> object:
        seen.append(str(path))
        return true(path, at_least, hashed=hashed)

    monkeypatch.setattr(images, "read", read)
    return seen


def film(folder: Path, name: str, shape: tuple[int, int] = (300, 420)) -> Path:
    """A smooth random image; 16 bits deep for .png16, 8 bits otherwise."""
    noise = np.random.default_rng(len(name)).random(shape).astype(np.float32)
    grey = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 1, cv2.NORM_MINMAX)
    path = folder / name.replace("16", "")
    if name.endswith("16"):
        assert cv2.imwrite(str(path), (grey * 65535).astype(np.uint16))
    else:
        PillowImage.fromarray((grey * 255).astype(np.uint8)).save(path, quality=90)
    return path


def read(path: Path, at_least: int | None) -> GreyImage:
    return open_source_images().read(path, files.sha256(path), at_least)


@pytest.mark.parametrize("name", ["a.jpg", "b.png", "c.png16"])
@pytest.mark.parametrize("first", SIDES)
def test_an_entry_is_what_the_decoder_gives(tmp_path: Path, name: str, first: int | None) -> None:
    """Whatever side the entry was decoded for: never another scale than the one asked for."""
    path = film(tmp_path, name)
    for at_least in (first, *SIDES):
        found, true = read(path, at_least), images.read(path, at_least).pixels
        assert found.dtype == true.dtype
        assert found.flags.writeable
        np.testing.assert_array_equal(found, true)


def test_a_second_reader_decodes_only_another_scale(tmp_path: Path, decoded: list[str]) -> None:
    png, jpeg = film(tmp_path, "b.png"), film(tmp_path, "a.jpg")
    for at_least in SIDES:
        read(png, at_least)
    assert decoded == [str(png)]
    decoded.clear()
    for at_least in SIDES:
        read(jpeg, at_least)
    # 300 pixels: whole, an eighth (38), a quarter (75) and a half (150)
    assert decoded == [str(jpeg)] * 4


def test_a_damaged_entry_is_made_anew(tmp_path: Path, decoded: list[str]) -> None:
    path = film(tmp_path, "b.png")
    true = read(path, None)
    (entry,) = (item for item in open_source_images().folder.rglob("*") if item.is_file())
    whole = entry.read_bytes()
    flipped = bytearray(whole)
    flipped[-9] ^= 4
    for damage in (b"", whole[:10], whole[:-1], bytes(flipped)):
        entry.write_bytes(damage)
        decoded.clear()
        with pytest.warns(HilumWarning, match="made anew"):
            np.testing.assert_array_equal(read(path, None), true)
        assert decoded == [str(path)]
        assert entry.read_bytes() == whole


def test_a_file_that_is_gone_is_gone_and_one_that_changed_is_another(tmp_path: Path) -> None:
    path = film(tmp_path, "b.png")
    before, key = read(path, None), files.sha256(path)
    PillowImage.fromarray(255 - before).save(path)
    np.testing.assert_array_equal(read(path, None), 255 - before)
    path.unlink()
    with pytest.raises(HilumError):
        open_source_images().read(path, key, None)


def test_the_folder_is_bounded_and_loses_what_was_unused_for_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [film(tmp_path, "x" * n + ".png", (100, 100)) for n in range(1, 6)]
    monkeypatch.setattr(source_images, "MOST_BYTES", 25_000)  # two entries of 10,000 pixels
    sources = open_source_images()
    for age, path in enumerate(paths[:3]):
        read(path, None)
        for entry in sources.folder.rglob(f"{files.sha256(path)}*"):
            os.utime(entry, (1000 + age, 1000 + age))
    assert kept(sources) == {files.sha256(path) for path in paths[1:3]}
    read(paths[1], None)  # used now, and so no longer the oldest
    read(paths[3], None)
    assert kept(sources) == {files.sha256(paths[1]), files.sha256(paths[3])}


def kept(sources: SourceImages) -> set[str]:
    return {item.name.split("-")[0] for item in sources.folder.rglob("*") if item.is_file()}


def listed(paths: list[Path]) -> Manifest:
    rows = [
        {"sample_id": path.name, "path": str(path), "label": "normal", "source": "s"}
        for path in paths
    ]
    return manifests.assemble_manifest(rows, "s")


def test_preparation_keeps_no_more_than_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = preprocess.from_list([{"step": "resize", "side": 32}])
    manifest = listed([film(tmp_path, "y" * n + ".png", (100, 100)) for n in range(1, 9)])
    monkeypatch.setattr(source_images, "AT_ONCE", 25_000)
    prepared_dataset.prepare_dataset(manifest, pipeline, workers=1)
    assert len(kept(open_source_images())) == 3  # the third passes the limit, the fourth is late


def test_nothing_is_kept_for_nobody_and_a_disk_that_refuses_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = preprocess.from_list([{"step": "resize", "side": 32}])
    manifest = listed([film(tmp_path, "z.png")])
    prepared_dataset.prepare_dataset(manifest, pipeline, keep_sources=False)
    assert not (tmp_path / "cache" / "sources").exists()
    (tmp_path / "cache" / "sources").write_text("a file where the folder would be")
    np.testing.assert_array_equal(
        read(tmp_path / "z.png", None), images.read(tmp_path / "z.png").pixels
    )


def test_prepared_images_come_from_the_store(tmp_path: Path, decoded: list[str]) -> None:
    pipeline = preprocess.from_list([{"step": "resize", "side": 32}])
    manifest = listed([film(tmp_path, name) for name in ("a.jpg", "b.png")])
    taken = prepared_dataset.prepare_dataset(manifest, pipeline)
    decoded.clear()
    found = prepared_dataset.prepared_images(taken.manifest.table.iloc[::-1], pipeline)
    np.testing.assert_array_equal(np.stack(found), taken.pixels.stack[::-1])
    assert decoded == []
    other = preprocess.from_list([{"step": "resize", "side": 16}])
    (small, _) = prepared_dataset.prepared_images(taken.manifest.table, other)
    np.testing.assert_array_equal(small, other(images.read(tmp_path / "a.jpg", 16).pixels))
