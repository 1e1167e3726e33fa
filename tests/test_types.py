"""The sentences about a wrong name, which every table of names ends with, and about no path."""

from typing import Any

import pytest

from hilum.types import HilumError, as_path, counted, nearest_name, nearest_names, told_apart


@pytest.mark.parametrize(
    ("name", "otherwise", "sentence"),
    [
        ("resnet5", "", "did you mean 'ResNet50'?"),  # whatever the case
        ("RESNET50", "choose one.", "did you mean 'ResNet50'?"),
        ("xyz", "choose one.", "choose one."),
        ("xyz", "", "known are ResNet50, vgg16."),
    ],
)
def test_the_nearest_name_is_named(name: str, otherwise: str, sentence: str) -> None:
    assert nearest_name(name, ["ResNet50", "vgg16"], otherwise) == sentence


def test_several_names_may_be_near() -> None:
    known = ["resnet50", "resnet34", "vgg16"]
    assert nearest_names("resnet51", known, 3) == ["resnet50", "resnet34"]
    assert nearest_names("resnet51", []) == []


@pytest.mark.parametrize(
    ("value", "limit", "how", "words"),
    [
        (0.22, 0.21, (), ("0.22", "0.21")),
        (0.1312, 0.1287, (), ("0.131", "0.129")),
        (0.0599, 0.06, (0, "%"), ("5.99%", "6.00%")),
        (1.04e-4, 1e-4, (2, "g"), ("0.000104", "0.0001")),
        (0.5, 0.5, (1,), (f"{0.5:.17f}", f"{0.5:.17f}")),
    ],
)
def test_a_figure_and_its_limit_never_read_the_same(
    value: float, limit: float, how: tuple[Any, ...], words: tuple[str, str]
) -> None:
    assert told_apart(value, limit, *how) == words


def test_one_thing_is_no_plural() -> None:
    assert [counted(n, "image") for n in (0, 1, 2, 1200)] == [
        *("0 images", "1 image", "2 images", "1,200 images"),
    ]


@pytest.mark.parametrize("wrong", ["", " ", None, 3, b"films", ["films"]])
def test_what_is_no_path_is_refused(wrong: Any) -> None:
    with pytest.raises(HilumError, match="a path must be text or a Path, and not empty; got"):
        as_path(wrong)
