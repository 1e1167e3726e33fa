"""Files that fuzzing kept are each read or refused in one sentence; atheris is not needed."""

from pathlib import Path

import pytest

import fuzz
from damage import read_or_refused
from fuzz_targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_the_kept_corpus(name: str) -> None:
    files = sorted((fuzz.KEPT / name).iterdir())
    assert files
    for file in files:
        read_or_refused(TARGETS[name].read, file.read_bytes())


def test_a_file_is_kept_where_it_reaches_a_new_line(tmp_path: Path) -> None:
    corpus, kept = tmp_path / "corpus", tmp_path / "kept"
    corpus.mkdir()
    whole = TARGETS["header"].seeds()[0]
    for content in (whole, whole + b"\0", b"II*\0"):
        (corpus / str(len(content))).write_bytes(content)
    assert fuzz.keep(TARGETS["header"].read, corpus, kept) > 20
    assert {file.read_bytes() for file in kept.iterdir()} == {whole, b"II*\0"}
