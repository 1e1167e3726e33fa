"""Paths kept small, and found in the order in which a list of them is sorted."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum import images
from hilum.files import PathList

if TYPE_CHECKING:
    from peak_memory import PeakMemory

NAMES = ("a", "a-b", "a.png", "a b.png", "A.png", "b.png", "é.png", "10.png", "9.png", "-.png")
part = st.sampled_from(NAMES)


@given(st.lists(st.lists(part, min_size=1, max_size=4).map("/".join)), st.booleans())
def test_a_list_of_paths_is_one_whatever_they_are(names: list[str], absolute: bool) -> None:
    paths = [Path("/" if absolute else "", name) for name in names]
    kept = PathList(paths)
    assert list(kept) == paths
    assert (len(kept), kept[1:-1], kept[::-2]) == (len(paths), paths[1:-1], paths[::-2])
    assert [kept[-1 - at] for at in range(len(paths))] == paths[::-1]
    with pytest.raises(IndexError):
        kept[len(paths)]


def test_names_that_are_no_text_are_kept() -> None:
    odd = os.fsdecode(b"films/\xe9.png")
    assert str(PathList([odd])[0]) == odd


def test_a_million_paths_would_take_25_mb(peak_memory: "PeakMemory") -> None:
    count = 100_000
    with peak_memory() as grown:
        kept = PathList(f"/films/of/a/hospital/with/a/long/name/{at:06}.png" for at in range(count))
    assert kept[77].name == "000077.png"
    assert grown() / count < 200  # some 30 bytes; a Path and its place in a list take 400


@given(st.sets(st.lists(part, min_size=1, max_size=3).map(tuple), max_size=12))
def test_images_are_found_in_the_order_of_sorted_paths(
    tmp_path_factory: pytest.TempPathFactory, names: set[tuple[str, ...]]
) -> None:
    """A name sorts by its parts: "a/b" before "a-b", whatever "/" and "-" are."""
    root = tmp_path_factory.mktemp("tree")
    wanted = []
    for name in sorted(names):
        path = root.joinpath(*name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        except OSError:  # a file is where a folder is wanted, or the other way round
            continue
        if path.suffix:
            wanted.append(path)
    found, _ = images.find_images(root)
    assert list(found) == sorted(wanted) == images.list_images(root)[0]
