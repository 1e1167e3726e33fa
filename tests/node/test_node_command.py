"""`hilum node` as a user starts it: the same answers as `hilum predict`, and what it refuses."""

import json
import signal
import socket
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from dicom_peers import LOOPBACK, NAME, archive, film, send, settled
from node_command import start
from pydicom import Dataset, uid
from pynetdicom import sop_class as sop
from small_model import CLASSES, VERDICT, save_small_model

import hilum
from hilum.cli import main


def as_file(made: Dataset) -> bytes:
    file = BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def numbers(report: Dataset) -> Iterator[float]:
    """Every measured value of a structured report, in its order."""
    for item in report.get("ContentSequence", ()):
        if item.ValueType == "NUM":
            yield float(item.MeasuredValueSequence[0].NumericValue)
        yield from numbers(item)


def test_results_in_the_archive_are_those_of_predict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, spool = film(1), tmp_path / "spool"
    packed = film(1, SOPInstanceUID=uid.generate_uid())
    packed.compress(uid.RLELossless, generate_instance_uid=False)
    two = film(2, NumberOfFrames=2, PixelData=2 * bytes(film(2).PixelData))
    save_small_model(tmp_path / "model", as_file(plain))
    with archive() as peer:
        words = ("--archive", f"ARCHIVE@{LOOPBACK}:{peer.port}", "--spool", spool)
        process, record = start(tmp_path / "model", *words)
        assert set(record) == {"aet", "host", "port", "digest", "verdict", "notice"}
        assert record["notice"] == hilum.NOTICE
        assert VERDICT in str(record["verdict"])
        assert send(int(str(record["port"])), [plain, packed, two]) == [0, 0, 0]
        status = settled(spool)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
    assert (status.films["sent"], status.failed) == (3, [])
    expected = hilum.load_model(tmp_path / "model").predict(as_file(plain))
    reports = [one for one in peer.datasets.values() if one.Modality == "SR"]
    assert len(reports) == 3
    answered = [found for one in reports if (found := [*numbers(one)])]
    assert len(answered) == 2  # the film of two frames has a report without a number
    for found in answered:
        assert found[: len(CLASSES)] == pytest.approx([*expected.probabilities.values()], abs=1e-6)
    assert {one.StudyInstanceUID for one in reports} == {
        plain.StudyInstanceUID, two.StudyInstanceUID,
    }  # fmt: skip
    assert run(monkeypatch, "node", "--status", "--spool", spool, "--json") == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["films"]["sent"] == 3
    assert run(monkeypatch, "node", "--status", "--spool", spool) == 0
    shown += capsys.readouterr().out
    assert "from film to result" in shown
    assert NAME not in shown


def run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """The command line in this process: its exit code."""
    monkeypatch.setattr(sys, "argv", ["hilum", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


A, S = ("--archive", "A@127.0.0.1:104"), ("--spool", "spool")
REFUSED = {
    ("m", *S, *A, "--aet", "SEVENTEEN_LETTERS"): "got 'SEVENTEEN_LETTERS', which has 17",
    ("m", *S, *A, "--aet", "A\\B"): "AE title of 1 to 16 ASCII characters",
    ("m", *S): "node needs an archive for its results; got none; give --archive",
    (*S, *A): "node needs the model that answers; got none",
    ("m", *S, "--archive", "A@here"): "--archive must be AET@HOST:PORT; got 'A@here'",
    ("m", *S, "--stow", "ftp://x/y"): "--stow must be the address of an archive's studies",
    ("m", *S, *A, "--host", "0.0.0.0"): "got no --peer; give --peer AET@HOST",  # noqa: S104
    ("m", *S, *A, "--peer", "ONLY_TITLE"): "--peer must be AET@HOST with a host",
    ("m", "--spool", "file/spool", *A): "--spool must be a place that can be written",
    ("m", *S, *A, "--port", "{port}"): "node needs a free port; got 127.0.0.1:",
    ("--status", "--spool", "nowhere"): "--spool must be a folder that a node has used",
}


def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_small_model(tmp_path / "m", as_file(film(1)))
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hilum.node.node.log_to", lambda _: None)
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = str(other.getsockname()[1])
        for words, sentence in REFUSED.items():
            code = run(monkeypatch, "node", *(word.format(port=port) for word in words))
            error = capsys.readouterr().err
            assert code == (3 if "nowhere" in words else 2), (words, error)
            assert sentence in error
            assert error.startswith("error: ")
            assert error.count("\n") == 1
    assert not (tmp_path / "spool" / ".hilum-lock").exists()


def test_the_classes_that_are_taken_are_those_of_films() -> None:
    from hilum.node.receive import REFUSED as NOT_TAKEN
    from hilum.node.receive import TAKEN

    assert not set(TAKEN) & set(NOT_TAKEN)
    assert sop.EnhancedCTImageStorage in NOT_TAKEN
