"""Verdict and notice in other languages: complete, and saying what the English one says."""

import json
import re
import shutil
from pathlib import Path
from string import Formatter

import pytest

from hilum.audits.registry import AUDITS
from hilum.audits.verdict import DO_NOT_TRUST, KINDS, NO_SHORTCUT
from hilum.report import run_folder, verdict_languages

FIELDS = {
    "accuracy": {"share"},
    "counted": {"share", "k", "n", "low", "high"},
    "failed": {"names"},
    "warned": {"names"},
    "unchecked": {"n", "total"},
}


@pytest.mark.parametrize("code", verdict_languages.LANGUAGES)
def test_a_language_has_every_string(code: str) -> None:
    strings = verdict_languages.read_strings(code)
    assert set(strings["verdict"]) == set(KINDS)
    assert set(strings["audits"]) == set(AUDITS)
    for key, fields in FIELDS.items():
        assert {name for _, name, _, _ in Formatter().parse(strings[key]) if name} == fields
    texts = [*strings["verdict"].values(), *strings["audits"].values(), strings["notice"]]
    assert len(set(texts)) == len(texts)


def a_run(folder: Path, text: str) -> run_folder.RunFolder:
    audits = [
        {"id": "C-01", "status": "fail", "sentence": "x", "value": 0.9},
        {"id": "C-03", "status": "warn", "sentence": "x", "value": 0.9},
        {"id": "C-05", "status": "unknown", "sentence": "x", "value": None},
    ]
    accuracy = {"cell": "one", "name": "accuracy", "class": "overall", "value": 0.983}
    accuracy |= {"low": 0.94, "high": 0.996, "k": 118, "n": 120}
    results = {"verdict": text, "audits": audits, "scores": [accuracy], "model": {"cell": "one"}}
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(results))
    return run_folder.read_run(folder)


def test_numbers_and_outcomes_are_those_of_the_run(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", f"{DO_NOT_TRUST}: 98.3% of test images ...")
    german, french, spanish, chinese = verdict_languages.translated_verdicts(run)
    assert german.sentences == (
        "Vertrauen Sie diesem Klassifikator noch nicht.",
        "98,3\xa0% der Testbilder werden richtig klassifiziert (118 von 120; 95-%-Intervall "
        "94\xa0% bis 100\xa0%).",
        "Nicht bestanden: Lungen geschwärzt.",
        "Mit Einschränkung: Nur der Bildrand.",
        "1 von 3 Prüfungen konnten nicht durchgeführt werden.",
    )
    for one in (french, spanish, chinese):
        assert re.findall(r"\d+", "".join(one.sentences)).count("118") == 1
        assert len(one.sentences) == 5


def test_a_verdict_of_another_kind_has_no_translation(tmp_path: Path) -> None:
    assert verdict_languages.translated_verdicts(a_run(tmp_path / "run", "Something else.")) == []
    shutil.rmtree(tmp_path / "run")
    assert (
        len(
            verdict_languages.translated_verdicts(
                a_run(
                    tmp_path / "run",
                    f"All right, and the one check that ran {NO_SHORTCUT}.",
                )
            )
        )
        == 4
    )
