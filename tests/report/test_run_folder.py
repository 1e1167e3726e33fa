"""A finished run's folder, read back: results.json as a typed record, or one clear sentence."""

import json
from pathlib import Path

import fixture_run
import pytest

from hilum.report import run_folder
from hilum.types import HilumError, MissingError


@pytest.fixture
def binary_run(tmp_path: Path) -> Path:
    return fixture_run.binary(tmp_path / "run")


def test_a_record_is_what_was_written(binary_run: Path) -> None:
    record = run_folder.read_run(binary_run).record()
    plain = json.loads(json.dumps(record.as_json()))
    assert plain == json.loads((binary_run / "results.json").read_text())
    assert record.scores[0].class_ == "overall"
    assert run_folder.read_record(binary_run) == record


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda plain: plain.pop("scores"), "KeyError"),
        (lambda plain: plain.update(unheard_of=1), "TypeError"),
        (lambda plain: plain.update(scores=[3]), "AttributeError"),
    ],
)
def test_a_record_of_another_version_is_refused_and_its_page_is_not(
    change: object, fault: str, binary_run: Path
) -> None:
    path = binary_run / "results.json"
    plain = json.loads(path.read_text())
    change(plain)  # type: ignore[operator]
    path.write_text(json.dumps(plain))
    run = run_folder.read_run(binary_run)
    assert run.classes == ["normal", "covid19"]
    for read in (run.record, lambda: run_folder.read_record(binary_run)):
        with pytest.raises(HilumError, match=f"as hilum wrote it; got {fault}; run the study"):
            read()


def test_a_folder_without_results_is_none(tmp_path: Path) -> None:
    with pytest.raises(
        MissingError, match=r"finished run's folder has results.json; got .* without it"
    ):
        run_folder.read_record(tmp_path)
