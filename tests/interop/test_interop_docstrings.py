"""The examples in the docstrings of `hilum.interop` run, and its facade offers what it lists."""

import doctest
from pathlib import Path

import cv2
import pytest

from hilum import interop, phantom

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
WITHOUT = {"PreparedFilm", "bars"}  # a record, and what only draws


@pytest.mark.parametrize("name", sorted(set(interop.__all__) - WITHOUT))
def test_the_example_of_every_name_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = phantom.generate(phantom.Request(images=10, size=64, seed=2))
    for i, row in films.table.iterrows():
        folder = tmp_path / "films" / str(row["label"])
        folder.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / f"{i}.png"), films.images[i])
    monkeypatch.chdir(tmp_path)
    text = getattr(interop, name).__doc__ or ""
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert test.examples
    said: list[str] = []
    done = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append)
    assert done.failed == 0, "".join(said)


def test_the_facade_lists_what_it_has_and_names_what_it_has_not() -> None:
    assert set(dir(interop)) == set(interop.__all__)
    with pytest.raises(AttributeError, match="got 'Headclassifier'; use one of these"):
        _ = interop.Headclassifier
