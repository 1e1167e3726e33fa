"""A hilum without its extras says which one is missing; the Tab key completes what can be typed."""

import json
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import Run, Trained

from hilum.cli import extras
from hilum.exporting import packages
from hilum.inference import model_json


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        ("fastapi", "serve {model}", "serve"),
        ("uvicorn", "serve {model}", "serve"),
        ("onnx", "export {model} --out {out}", "export"),
        ("onnxruntime", "export {model} --out {out}", "export"),
        ("onnxscript", "export {model} --out {out} --format openvino", "export"),
        ("nncf", "export {model} --out {out} --precision int8 --proof {out}", "export"),
        ("ml_dtypes", "export {model} --out {out} --precision bf16", "export"),
    ],
)
def test_what_needs_an_extra_says_so(
    hilum: Run, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    module: str, words: str, extra: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type] - as not installed
    places = {"model": trained.folder, "out": tmp_path / "x"}
    done = hilum(*(word.format(**places) for word in words.split()))
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"not installed: {module}; run pip install 'hilum[{extra}]'" in done.err
    assert not (tmp_path / "x").exists()


def test_a_model_that_finds_text_needs_what_it_was_trained_with(
    hilum: Run, model: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)  # type: ignore[arg-type] - as not installed
    record = json.loads((model / "model.json").read_text())
    record["preparation"]["steps"].insert(0, {"step": "remove_markers", "method": "text"})
    model_json.write_record(model, record)
    film = next((trained.data / "normal").glob("*.png"))
    step = "remove_markers:method=shape_and_text"
    for words in (
        ("predict", model, film, "--out", tmp_path / "x"),
        ("prepare", film.parent, "--steps", step, "--out", tmp_path / "x"),
    ):
        done = hilum(*words)
        assert (done.code, done.err.count("\n")) == (3, 1), done.err
        assert "package rapidocr; got none; run pip install 'hilum[text]', or choose" in done.err
    assert not (tmp_path / "x").exists()


def test_an_import_that_nobody_has_foreseen_ends_in_the_same_sentence(
    hilum: Run, monkeypatch: pytest.MonkeyPatch, trained: Trained, tmp_path: Path
) -> None:
    """Past the first look at what is there: the import itself fails; one of no extra is a bug."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # type: ignore[arg-type]
    with pytest.raises(ModuleNotFoundError) as raised:
        __import__("onnxscript")
    for error, expected in ((raised.value, "package onnxscript"), (KeyError("bug"), None)):

        def fails(*_: object, _error: Exception = error, **__: object) -> None:
            raise _error

        monkeypatch.setattr(packages, "require", fails)
        words = ("export", trained.folder, "--out", tmp_path / "x")
        if expected is None:
            with pytest.raises(KeyError, match="bug"):
                hilum(*words)
            continue
        done = hilum(*words)
        assert done.code == 2
        assert "package onnxscript, which is not installed; run pip install 'hilum[export]'" in (
            done.err
        )
    assert extras.sentence("somebody_elses") == ""


def test_every_package_of_an_extra_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a fresh installation lists what pyproject.toml says; that of a checkout may be older."""
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    stated = tomllib.loads(text)["project"]["optional-dependencies"]
    lines = [f'{item}; extra == "{name}"' for name, items in stated.items() for item in items]
    monkeypatch.setattr(extras, "requires", lambda name: ["numpy>=2", *lines])
    known = extras.packages_by_extra()
    assert {name: len(names) for name, names in known.items()} == {
        name: len(items) for name, items in stated.items() if name not in ("dev", "browser")
    }
    assert "hilum[serve]" in extras.sentence("python_multipart.multipart")
    assert "hilum[keras]" in extras.sentence("h5py")
    assert extras.sentence("numpy") == ""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("hilum tr", {"train"}),
        ("hilum in", {"init"}),
        ("hilum data s", {"scan"}),
        ("hilum train films --dr", {"--dry-run"}),
        ("hilum run zh", {"zhang2022"}),
        ("hilum show within", {"within_cohen"}),
        ("hilum check-table ya", {"yamani2021"}),
        ("hilum data fetch shen", set()),
        ("hilum data fetch kerm", {"kermany"}),
        ("hilum run demo --device cu", {"cuda"}),
    ],
)
def test_the_tab_key(
    hilum: Run, monkeypatch: pytest.MonkeyPatch, typed: str, offered: set[str]
) -> None:
    """What the script that `hilum --install-completion` puts in place for bash asks."""
    monkeypatch.setenv("_HILUM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    done = hilum()
    assert done.code == 0
    assert set(done.out.split()) == offered


def test_the_script_of_completion(hilum: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_HILUM_COMPLETE", "source_bash")
    assert "_HILUM_COMPLETE=complete_bash" in hilum().out
