"""Lung masks: cleaned, judged, and what the steps do with them."""

import math
import re

import numpy as np
import pytest
from scipy import ndimage
from skimage import draw, measure

from hilum import preprocess
from hilum.preprocess.lungs import ct, masks
from hilum.preprocess.lungs.steps import HideLungs, KeepLungs, LungStep
from hilum.types import HilumError, Mask
from known_lungs import Known, two_boxes

STEPS = ("keep_lungs", "hide_lungs", "crop_lungs")
FILM = np.random.default_rng(0).integers(1, 256, (200, 300), np.uint8)


def built(known: Known, name: str, **settings: object) -> LungStep:
    block = [{"step": name, **settings}, {"step": "letterbox"}]
    return preprocess.from_list(block, lambda network: known).steps[0]  # type: ignore[return-value]


def ellipse(
    shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]
) -> Mask:
    mask = np.zeros(shape, bool)
    mask[draw.ellipse(*centre, *radii, shape=shape)] = True
    return mask


def chest(shape: tuple[int, int] = (200, 240)) -> Mask:
    return ellipse(shape, (100, 70), (70, 35)) | ellipse(shape, (100, 170), (70, 35))


def stacked() -> Mask:
    return ellipse((200, 240), (50, 120), (40, 60)) | ellipse((200, 240), (150, 120), (40, 60))


def test_the_largest_pieces_stay_without_holes() -> None:
    whole = chest()
    torn = whole.copy()
    torn[90:110, 60:80] = False
    torn[2:6, 2:6] = True
    np.testing.assert_array_equal(masks.largest(torn), whole)
    labels = measure.label(masks.largest(torn))
    assert labels.max() == 2
    assert not masks.largest(np.zeros((9, 9), bool)).any()


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (chest(), ""),
        (np.zeros((200, 240), bool), "no lungs found"),
        (ellipse((200, 240), (100, 100), (10, 10)), "lungs of 1%"),
        (np.ones((200, 240), bool), "lungs of 100%"),
        (ellipse((200, 240), (100, 70), (80, 30)), "only one lung found"),
        (stacked(), "above"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_mask_is_said(mask: Mask, words: str) -> None:
    said = masks.fault(mask)
    assert (words in said) if words else not said


def test_lungs_that_are_joined_are_judged_one_by_one() -> None:
    joined = chest()
    joined[150:160, 70:170] = True
    region = measure.regionprops(measure.label(joined))[0]
    assert region.solidity < masks.SOLID
    assert not masks.fault(joined)


def test_a_ragged_and_an_uncertain_mask_are_faults() -> None:
    ragged = chest()
    ragged[60:140, 70:108] = False
    solid = min(region.solidity for region in measure.regionprops(measure.label(ragged)))
    assert solid < masks.SOLID
    assert f"solidity {solid:.1f}"[:-1] in masks.fault(ragged)
    assert masks.fault(chest(), confidence=0.5) == "too uncertain (0.500, at least 0.925)"
    assert masks.fault(chest(), confidence=0.9248) == "too uncertain (0.9248, at least 0.9250)"


def test_what_is_beyond_a_limit_by_little_does_not_read_as_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mask = chest()
    share = float(mask.mean())
    for limits, word in (((share + 1e-4, 1.0), "least"), ((0.0, share - 1e-4), "most")):
        monkeypatch.setattr(masks, "AREA", limits)
        measured, limit = re.findall(rf"lungs of (\S+)% .*, at {word} (\S+)%", masks.fault(mask))[0]
        assert (float(measured) < float(limit)) == (word == "least")


def test_a_status_without_its_figure_is_the_same_for_every_mask() -> None:
    ragged = chest()
    ragged[60:140, 70:108] = False
    assert masks.MEASURED.sub("", masks.fault(ragged)) == "ragged outline"
    for confidence in (0.5, 0.92, 0.92499):
        said = masks.fault(chest(), confidence=confidence)
        assert masks.MEASURED.sub("", said) == "too uncertain"


def test_confidence_is_the_soft_dice_of_probabilities_and_mask() -> None:
    p = np.where(chest((200, 240)), 0.8, 0.1).astype(np.float32)
    found = masks.assess_mask(p, 0.5, p.shape, np.where(chest(), 90, 170).astype(np.uint8))
    n, rest = int(chest().sum()), int((~chest()).sum())
    assert found.confidence == pytest.approx(2 * 0.8 * n / (0.8 * n + 0.1 * rest + n), rel=1e-5)
    np.testing.assert_array_equal(found.mask, chest())
    assert found.fraction == pytest.approx(n / p.size)


def test_the_step_at_the_outline_is_that_of_the_grey_levels() -> None:
    lung = chest()
    seen = np.where(lung, 80, 200).astype(np.uint8)
    assert masks.step(seen, lung) == pytest.approx(120 / 255)
    assert masks.step(255 - seen, lung) == pytest.approx(-120 / 255)
    assert math.isnan(masks.step(seen, np.zeros_like(lung)))
    # what was blacked out around the lungs before is no tissue
    assert math.isnan(masks.step(np.where(lung, seen, 0).astype(np.uint8), lung))


@pytest.mark.parametrize(
    ("within", "around", "sure", "words"),
    [
        (80, 200, 0.97, ""),
        (80, 200, 0.93, "CT slice"),
        (20, 220, 0.97, "CT slice"),
        (200, 80, 0.97, "exchanged"),
        (120, 120, 0.97, ""),
    ],
)
def test_a_slice_and_a_negative_are_told_by_the_outline(
    within: int, around: int, sure: float, words: str
) -> None:
    rise = masks.step(np.where(chest(), within, around).astype(np.uint8), chest())
    said = masks.no_film(rise, sure)
    assert (words in said) if words else not said


def test_growth_and_hull_match_their_definitions() -> None:
    mask = chest()
    grown = masks.dilated(mask, 0.05, hull=False)
    far = ndimage.distance_transform_edt(~mask)
    np.testing.assert_array_equal(grown, far <= 0.05 * 200)
    bitten = mask.copy()
    bitten[120:, 40:60] = False
    hull = masks.dilated(bitten, 0, hull=True)
    labels = measure.label(bitten)
    expected = sum(region.area_convex for region in measure.regionprops(labels))
    assert hull.sum() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", STEPS)
def test_a_mask_that_fails_never_becomes_a_black_image(name: str) -> None:
    nothing = Known(nothing=True)
    with pytest.raises(HilumError, match="got no lungs found"):
        built(nothing, name)(FILM)
    whole = built(nothing, name, failed="whole")(FILM)
    np.testing.assert_array_equal(whole, FILM)


def test_keep_hide_and_crop() -> None:
    mask = two_boxes(*FILM.shape)
    kept = built(Known(), "keep_lungs", dilate=0.0)(FILM)
    np.testing.assert_array_equal(kept, np.where(mask, FILM, 0))
    hidden = built(Known(), "hide_lungs", dilate=0.0, hull=False, fill=9)(FILM)
    np.testing.assert_array_equal(hidden, np.where(mask, 9, FILM))
    cropped = built(Known(), "crop_lungs", margin=0.0)(FILM)
    np.testing.assert_array_equal(cropped, FILM[40:160, 60:240])
    boxed = built(Known(), "hide_lungs", dilate=0.0, box=True)(FILM)
    assert not boxed[40:160, 60:240].any()
    assert (boxed[:40] == FILM[:40]).all()
    wider = built(Known(), "keep_lungs", dilate=0.05)(FILM)
    assert (wider > 0).sum() > (kept > 0).sum()


def test_a_film_and_its_lungs_stand_one_below_the_other() -> None:
    block = [{"step": "film_and_lungs", "side": 64, "margin": 0.0, "failed": "whole"}]
    pair = preprocess.from_list(block, lambda network: Known())
    pipeline = preprocess.from_list([{"step": "film_and_lungs", "side": 64}, {"step": "equalise"}])
    assert (pipeline.panels, pipeline.shape) == (2, (128, 64))
    whole = preprocess.from_list([{"step": "letterbox", "side": 64}])(FILM)
    inside = preprocess.from_list([{"step": "resize", "side": 64}])(FILM[40:160, 60:240])
    np.testing.assert_array_equal(pair(FILM), np.concatenate([whole, inside]))
    nothing = Known(nothing=True)
    twice = preprocess.from_list(block, lambda network: nothing)(FILM)
    np.testing.assert_array_equal(twice[:64], whole)
    stretched = preprocess.from_list([{"step": "resize", "side": 64}])(FILM)
    np.testing.assert_array_equal(twice[64:], stretched)
    with pytest.raises(HilumError, match="2 pictures one below the other must keep their places"):
        preprocess.from_list([{"step": "film_and_lungs"}, {"step": "resize"}])


def test_floats_stay_floats() -> None:
    deep = (FILM / 255).astype(np.float32)
    for name in STEPS:
        assert built(Known(), name)(deep).dtype == np.float32


def test_the_network_belongs_to_the_preparation() -> None:
    """Another network, other pixels: stored ones must not be mixed up."""
    block = [{"step": "keep_lungs"}, {"step": "letterbox"}]
    one, two = (preprocess.from_list(block, lambda n, d=d: Known(d)) for d in ("a", "b"))
    assert one.digest != two.digest
    with pytest.MonkeyPatch.context() as patch:  # other arithmetic of masks, other pixels
        sliced = [{"step": "keep_lungs", "kind": "ct"}, {"step": "letterbox"}]
        before = preprocess.from_list(sliced).digest
        patch.setattr(masks, "VERSION", masks.VERSION + 1)
        assert preprocess.from_list(sliced).digest != before
    assert one.as_list() == two.as_list()
    assert "finder" not in one.as_list()[0]
    assert one.decode_side == 256
    assert preprocess.from_list([{"step": "letterbox"}], lambda network: Known()).digest == (
        preprocess.from_list([{"step": "letterbox"}]).digest
    )


def test_a_step_is_given_the_network_that_it_names() -> None:
    named: list[str] = []

    def of(network: str) -> Known:
        named.append(network)
        return Known()

    block = [{"step": "keep_lungs", "network": "mine"}, {"step": "keep_lungs", "kind": "ct"}]
    preprocess.from_list([*block, {"step": "letterbox"}], of)
    assert named == ["mine"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"kind": "mri"}, "radiograph, ct"), ({"failed": "black"}, "leave_out, whole")],
)
def test_other_words_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(HilumError, match=words):
        built(Known(), "keep_lungs", **settings)
    with pytest.raises(HilumError, match="a lung segmenter"):
        KeepLungs()(FILM)


def slice_of_a_chest(air: int = 0, lung: int = 40, tissue: int = 180) -> tuple[np.ndarray, Mask]:
    """A round body in air with two lungs, and the lungs' mask."""
    shape = (240, 300)
    body = ellipse(shape, (120, 150), (100, 130))
    both = ellipse(shape, (115, 90), (65, 45)) | ellipse(shape, (115, 210), (65, 45))
    return np.where(both, lung, np.where(body, tissue, air)).astype(np.uint8), both


@pytest.mark.parametrize("air", [0, 40, 90])
def test_ct_air_inside_the_body_is_lung_whatever_is_around_it(air: int) -> None:
    pixels, both = slice_of_a_chest(air=air)
    vessels = np.random.default_rng(0).random(pixels.shape) < 0.01
    pixels[vessels & both] = 200
    found = ct.lungs(pixels)
    assert found.good
    overlap = 2 * (found.mask & both).sum() / (found.mask.sum() + both.sum())
    assert overlap > 0.97
    assert found.fraction == pytest.approx(found.mask.mean())


def test_ct_lungs_that_touch_the_frame_are_found() -> None:
    pixels, both = slice_of_a_chest()
    found = ct.lungs(pixels[:, 50:250])
    cut = both[:, 50:250]
    assert 2 * (found.mask & cut).sum() / (found.mask.sum() + cut.sum()) > 0.95


def test_ct_heart_between_joined_lungs_is_no_lung_but_a_vessel_is() -> None:
    body = ellipse((240, 300), (120, 150), (100, 130))
    both = ellipse((240, 300), (115, 80), (65, 40)) | ellipse((240, 300), (115, 220), (65, 40))
    both[60:75, 80:220] = both[155:170, 80:220] = True
    pixels = np.where(both, 40, np.where(body, 180, 0)).astype(np.uint8)
    pixels[100:110, 80:90] = 200
    found = ct.lungs(pixels).mask
    assert not found[115, 150]
    assert found[105, 85]
    assert (found & both).sum() > 0.97 * both.sum()


def test_ct_masks_that_miss_a_lung_or_hold_the_body_are_faults() -> None:
    pixels, both = slice_of_a_chest()
    one = pixels.copy()
    one[:, 150:][both[:, 150:]] = 180
    assert ct.lungs(one).status == "lung in one half of the picture only"
    body = np.ones((100, 100), bool)
    body[:10] = False
    assert ct._fault(chest((200, 240)), np.ones((200, 240), bool)) == ""
    assert ct._fault(body & ellipse((100, 100), (55, 50), (44, 60)), body).endswith(
        "of the body, at most 70%"
    )


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((100, 100), np.uint8), "0 grey levels"),
        (np.full((100, 100), 77, np.uint8), "0 grey levels"),
        (FILM[:30, :30], "30 x 30"),
    ],
)
def test_ct_of_nothing_says_so(pixels: np.ndarray, words: str) -> None:
    found = ct.lungs(pixels)
    assert words in found.status
    assert found.mask.shape == pixels.shape
    with pytest.raises(HilumError, match=words):
        HideLungs(kind="ct")(pixels)


def test_solidity_agrees_with_scikit_image() -> None:
    mask = ellipse((200, 200), (100, 100), (80, 30))
    mask[100:, 100:] = False
    region = measure.regionprops(measure.label(mask))[0]
    assert math.isclose(masks._solidity(masks._outlines(mask)[0]), region.solidity, abs_tol=0.02)
