"""Checks of explanations: closed forms, the phantom's known lesions, and both kinds of control."""

import cv2
import numpy as np
import pytest

from hilum import phantom
from hilum.explain import cam, sanity_checks
from hilum.explain import explainer as subjects
from hilum.explain.cam import ExplainableModel
from hilum.inference.model import ModelMetadata
from hilum.models import backbones
from hilum.models.heads import NumpyHead, Standardise
from hilum.phantom import Phantom
from hilum.types import Floats, Grey8, Stack8


@pytest.fixture(scope="module")
def films() -> Phantom:
    request = phantom.Request(images=4, size=128, seed=4, classes=("bacterial_pneumonia",))
    return phantom.generate(request)


@pytest.fixture(scope="module")
def lite() -> ExplainableModel:
    """The embedded ImageNet network with a linear head."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(2, 1280)) / 36
    top = NumpyHead(Standardise.none(1280), ((weight, np.zeros(2)),))
    backbone = backbones.build_backbone("tf_efficientnet_lite0")
    return subjects.of_parts(
        ModelMetadata(["a", "b"], "signed", "fp32", mirror=False), backbone, top
    )


def edges(asked: ExplainableModel, film: Grey8, class_: int) -> Floats:
    """An "explanation" that knows nothing of the model: the control that must be found out."""
    return np.abs(cv2.Laplacian(film.astype(np.float32), cv2.CV_32F, ksize=3))


@pytest.mark.slow
def test_cascade_tells_an_explanation_from_an_edge_detector(
    lite: ExplainableModel, films: Phantom
) -> None:
    stack, classes = films.images[:2], np.zeros(2, np.int64)
    found = sanity_checks.cascading_randomisation(lite, stack, classes)
    assert list(found["level"])[:2] == ["trained", "head"]
    assert len(found) == 2 + len(lite.tail.backbone.card.stages)
    assert found["spearman"].iloc[0] == 1
    assert found["spearman"].iloc[-1] < 0.3  # the audit's rule
    assert set(found["images"]) == {2}
    assert (
        sanity_checks.cascading_randomisation(lite, stack, classes, edges)["spearman"] == 1
    ).all()


def test_cascade_leaves_the_model_as_it_was_and_repeats_itself(
    lite: ExplainableModel, films: Phantom
) -> None:
    stack, classes = films.images[:1], np.ones(1, np.int64)
    before = cam.heat(lite, stack[0], 1)
    first = sanity_checks.cascading_randomisation(lite, stack, classes, seed=5)
    assert (cam.heat(lite, stack[0], 1) == before).all()
    assert first.equals(sanity_checks.cascading_randomisation(lite, stack, classes, seed=5))


def test_likeness_is_rank_correlation_and_a_flat_map_is_like_nothing() -> None:
    one = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert sanity_checks.likeness(one, one**3) == pytest.approx(1)
    assert sanity_checks.likeness(one, -one) == pytest.approx(-1)
    assert sanity_checks.likeness(one, np.zeros((3, 4), np.float32)) == 0


def brightness(mask: np.ndarray) -> object:
    """A "probability" that only sees a mask: the mean brightness inside, from 0 to 1."""
    return lambda stack: stack[:, mask].mean(axis=1) / 255


def test_deletion_and_insertion_in_closed_form() -> None:
    """A film of 0 with a square of 255: all that counts goes, or comes, with the first quarter."""
    film = np.zeros((16, 16), np.uint8)
    film[4:12, 4:12] = 255
    mask = film > 0
    found, wrong = mask.astype(np.float32), (~mask).astype(np.float32)
    grey = 64 / 255  # the film's mean: a quarter of it is white
    gone = sanity_checks.deletion_or_insertion_curve(
        brightness(mask), film, found, "deletion", steps=4
    )
    np.testing.assert_allclose(gone.share, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(gone.value, [1, grey, grey, grey, grey])
    assert gone.area == pytest.approx(grey + 0.25 * (1 - grey) / 2)
    late = sanity_checks.deletion_or_insertion_curve(
        brightness(mask), film, wrong, "deletion", steps=4
    )
    np.testing.assert_allclose(late.value, [1, 1, 1, 1, grey])
    assert gone.area < late.area
    come = sanity_checks.deletion_or_insertion_curve(
        brightness(mask), film, found, "insertion", steps=4
    )
    assert (come.value[1:] == 1).all()
    assert (
        come.area
        > sanity_checks.deletion_or_insertion_curve(
            brightness(mask), film, wrong, "insertion", steps=4
        ).area
    )


@pytest.mark.parametrize("way", ["deletion", "insertion"])
def test_on_the_phantom_a_right_map_beats_a_wrong_one(films: Phantom, way: str) -> None:
    """The class's score is the lesion's brightness, so that the lesion is the whole reason."""
    for film, lesion in zip(films.images, films.lesions, strict=True):
        right = cv2.GaussianBlur(lesion.astype(np.float32), (0, 0), 3)
        score = brightness(lesion)
        good = sanity_checks.deletion_or_insertion_curve(score, film, right, way)
        bad = sanity_checks.deletion_or_insertion_curve(score, film, right.max() - right, way)
        darker = film[lesion].mean() > film.mean()
        fell = good.area < bad.area
        assert fell == darker if way == "deletion" else good.value[-1] == bad.value[-1]


def test_pointing_and_energy_on_the_phantoms_lesions(films: Phantom) -> None:
    for lesion, marker in zip(films.lesions, films.markers, strict=True):
        right = cv2.GaussianBlur(lesion.astype(np.float32), (0, 0), 2)
        wrong = marker.astype(np.float32)
        assert sanity_checks.pointing_game(right, lesion) is True
        assert sanity_checks.pointing_game(wrong, lesion) is False
        assert sanity_checks.energy(right, lesion).lift > 3
        assert sanity_checks.energy(wrong, lesion).inside == 0
        even = sanity_checks.energy(np.ones_like(right), lesion)
        assert even.lift == pytest.approx(1)
        assert even.area == pytest.approx(lesion.sum() / lesion.size)


def test_pointing_within_a_tolerance_and_with_nothing_to_point_at() -> None:
    found, mask = np.zeros((40, 40), np.float32), np.zeros((40, 40), bool)
    assert sanity_checks.pointing_game(found, mask) is None
    found[5, 5] = 1
    assert sanity_checks.pointing_game(found, mask) is None
    mask[5, 20] = True
    assert sanity_checks.pointing_game(found, mask) is False
    assert sanity_checks.pointing_game(found, mask, tolerance=14) is False
    assert sanity_checks.pointing_game(found, mask, tolerance=15) is True


def test_energy_of_an_empty_map_is_undefined() -> None:
    none = sanity_checks.energy(np.zeros((4, 4), np.float32), np.ones((4, 4), bool))
    assert np.isnan(none.inside)
    assert np.isnan(none.lift)


def test_a_course_asks_for_all_pictures_at_once() -> None:
    asked: list[tuple[int, ...]] = []

    def score(stack: Stack8) -> np.ndarray:
        asked.append(stack.shape)
        return np.zeros(len(stack))

    film = np.zeros((8, 8), np.uint8)
    sanity_checks.deletion_or_insertion_curve(
        score, film, np.ones((8, 8), np.float32), "insertion", steps=7
    )
    assert asked == [(8, 8, 8)]
