"""Fingerprints: the imagehash and scipy libraries, and copies of real films, as second opinions."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from scipy.stats import pearsonr, zscore

from hilum.data import fingerprints as fp
from hilum.data.duplicates import Nearness
from hilum.types import Fingerprints, Grey8, HilumError

Change = Callable[[Grey8], Grey8]


def smooth(seed: int, height: int = 150, width: int = 120) -> Grey8:
    """Noise (height, width) of all scales, the coarse ones stronger, as in films; one per seed."""
    rng = np.random.default_rng(seed)
    octaves = [cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), s) for s in (1, 2, 4, 9)]
    noise = np.sum([octave / octave.std() * 1.5**i for i, octave in enumerate(octaves)], axis=0)
    return cv2.normalize(noise, None, 10, 240, cv2.NORM_MINMAX).astype(np.uint8)


def scaled(factor: float) -> Change:
    return lambda p: cv2.resize(p, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def encoded(quality: int) -> Change:
    def change(pixels: Grey8) -> Grey8:
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)

    return change


def levelled(contrast: float, brightness: float) -> Change:
    def change(pixels: Grey8) -> Grey8:
        bent = (pixels - pixels.mean()) * contrast + pixels.mean() + brightness * 255
        return np.clip(bent, 0, 255).astype(np.uint8)

    return change


COPIES: dict[str, Change] = {
    "half size": scaled(0.5),
    "nine tenths": scaled(0.9),
    "quality 30": encoded(30),
    "quality 90": encoded(90),
    "more contrast": levelled(1.1, 0),
    "less contrast": levelled(0.9, 0),
    "brighter": levelled(1, 0.1),
    "darker": levelled(1, -0.1),
    "all, up": lambda p: encoded(30)(levelled(1.1, 0.1)(scaled(0.5)(p))),
    "all, down": lambda p: encoded(30)(levelled(0.9, -0.1)(scaled(0.5)(p))),
}


def is_near(first: fp.Fingerprint, second: fp.Fingerprint) -> bool:
    limits = Nearness()
    bits = fp.hamming(first.perceptual[None], second.perceptual[None])[0]
    alike = fp.correlation(first.thumbnail[None], second.thumbnail[None])[0]
    return bool(bits <= limits.bits and alike >= limits.correlation)


@pytest.mark.parametrize("seed", range(5))
def test_hash_equals_imagehash(seed: int) -> None:
    fine = cv2.resize(smooth(seed), (64, 64))
    ours = np.unpackbits(fp.perceptual_hashes(fine[None])[0]).astype(bool)
    theirs = imagehash.phash(PillowImage.fromarray(fine), hash_size=16, highfreq_factor=4)
    np.testing.assert_array_equal(ours, theirs.hash.ravel())


def test_hash_of_a_batch_equals_one_by_one() -> None:
    stack = np.stack([cv2.resize(smooth(seed), (64, 64)) for seed in range(4)])
    single = np.concatenate([fp.perceptual_hashes(image[None]) for image in stack])
    np.testing.assert_array_equal(fp.perceptual_hashes(stack), single)


def test_grey_levels_are_bent_image_by_image_about_their_own_mean() -> None:
    """By SciPy's z scores; the second film is flat, and none of its noise is made large."""
    fine = np.stack([smooth(1, 64, 64), np.full((64, 64), 40), smooth(2, 64, 64)]).astype(float)
    fine[1, 0, 0] += 1e-3
    bent = fp.soft_clip(fine.astype(np.float32))
    for i in (0, 2):
        assert bent[i] == pytest.approx(np.tanh(zscore(fine[i], axis=None)), abs=1e-6)
    assert np.abs(bent[1]).max() == pytest.approx(1e-3 / 0.01, rel=0.1)


@pytest.mark.parametrize("shape", [(32, 32), (64, 96)])
def test_a_thumbnail_has_every_grey_level(shape: tuple[int, int]) -> None:
    """Mean of each block, black and white ends included."""
    levels = np.linspace(0, 255, 32).round().astype(np.uint8)
    small = np.broadcast_to(levels[:, None], (32, 32))
    large = np.kron(small, np.ones((shape[0] // 32, shape[1] // 32), np.uint8))
    assert (fp.thumbnail(large) == small).all()
    assert (fp.thumbnail(large.astype(np.float32) / 255) == small).all()


def test_half_of_the_bits_are_set() -> None:
    assert np.unpackbits(fp.fingerprint(smooth(3)).perceptual).sum() == 128


def test_flat_image_has_a_stable_hash() -> None:
    hashes = {fp.fingerprint(np.full((50, 60), v, np.uint8)).perceptual.tobytes() for v in (9, 90)}
    assert len(hashes) == 1


def test_correlation_equals_scipy() -> None:
    first, second = (
        np.stack([fp.thumbnail(smooth(s)) for s in seeds]) for seeds in ((1, 2), (3, 4))
    )
    expected = [
        pearsonr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(fp.correlation(first, second), expected, atol=1e-12)


def test_flat_thumbnail_correlates_with_nothing() -> None:
    flat = np.full((1, 32, 32), 7, np.uint8)
    assert np.isnan(fp.correlation(flat, flat)).all()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=2))
def test_hamming_equals_counting(pair: list[bytes]) -> None:
    first, second = (np.frombuffer(value, np.uint8)[None] for value in pair)
    expected = sum(bin(a ^ b).count("1") for a, b in zip(*pair, strict=True))
    assert fp.hamming(first, second).tolist() == [expected]


def test_pixel_hash_knows_shape_and_type() -> None:
    flat = np.arange(12, dtype=np.uint8)
    same = fp.pixels_sha256(flat.reshape(3, 4))
    assert same == fp.pixels_sha256(np.asfortranarray(flat.reshape(3, 4)))
    assert same != fp.pixels_sha256(flat.reshape(4, 3))
    assert same != fp.pixels_sha256(flat.reshape(3, 4).astype(np.float32))


def test_float_image_has_the_fingerprint_of_its_8_bit_copy() -> None:
    pixels = smooth(6)
    eight, real = fp.fingerprint(pixels), fp.fingerprint(pixels / np.float32(255))
    np.testing.assert_array_equal(eight.thumbnail, real.thumbnail)
    np.testing.assert_array_equal(eight.perceptual, real.perceptual)


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_near_and_others_are_not(name: str) -> None:
    original = smooth(1)
    copy = fp.fingerprint(COPIES[name](original))
    assert is_near(fp.fingerprint(original), copy)
    assert not is_near(fp.fingerprint(smooth(2)), copy)


def test_mirrored_image_is_another_image() -> None:
    assert not is_near(fp.fingerprint(smooth(1)), fp.fingerprint(smooth(1)[:, ::-1]))


def films(shared: Path, pattern: str, count: int) -> Iterator[Grey8]:
    """Every so many-th film of a folder (height, width)."""
    paths = sorted(shared.glob(pattern))
    assert len(paths) >= count
    for path in paths[:: len(paths) // count][:count]:
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None
        yield pixels


@pytest.mark.parametrize(
    "pattern", ["chest_xray/*/*/*", "nih-chestxray14/images/*", "covid-chestxray-dataset/images/*"]
)
def test_real_films(shared: Path, pattern: str) -> None:
    """Of copies of real films at least 98 % are found, of pairs of other films none is near."""
    originals = list(films(shared, pattern, 40))
    prints = [fp.fingerprint(pixels) for pixels in originals]
    found = [
        is_near(own, fp.fingerprint(change(pixels)))
        for pixels, own in zip(originals, prints, strict=True)
        for change in COPIES.values()
    ]
    assert np.mean(found) >= 0.98
    hashes = np.stack([own.perceptual for own in prints])
    one, other = np.triu_indices(len(hashes), 1)
    assert fp.hamming(hashes[one], hashes[other]).min() > 2 * Nearness().bits


def three() -> Fingerprints:
    rows: npt.NDArray[np.uint8] = np.arange(3, dtype=np.uint8)
    return Fingerprints(
        ("a", "b", "c"),
        ("0", "1", "2"),
        ("3", "4", "5"),
        np.repeat(rows[:, None], 32, axis=1),
        np.broadcast_to(rows[:, None, None], (3, 32, 32)),
    )


def test_take_follows_the_names() -> None:
    taken = fp.take(three(), ["c", "a"])
    assert taken.bytes_sha256 == ("2", "0")
    assert taken.pixels_sha256 == ("5", "3")
    assert taken.perceptual[:, 0].tolist() == [2, 0]
    assert taken.thumbnails[:, 0, 0].tolist() == [2, 0]


def test_take_refuses_an_unknown_name() -> None:
    with pytest.raises(HilumError, match="1 of 2, such as 'z'"):
        fp.take(three(), ["a", "z"])


def test_join_keeps_the_order() -> None:
    assert fp.join(three(), fp.take(three(), ["b"])).perceptual[:, 0].tolist() == [0, 1, 2, 1]
