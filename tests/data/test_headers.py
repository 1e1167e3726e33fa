"""Headers by several processes: what one process reads, in the same order."""

import json
import os
import pickle
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from hilum import files, images
from hilum.data import scan
from hilum.datasets import TreeOptions, open_path
from hilum.experiment.spread import readers_of_headers
from hilum.files import SerialExecutor, WorkerLostError
from hilum.files.executors import Function
from hilum.images import headers
from hilum.progress import Progress
from hilum.types import HilumError

COUNT = 11
_real = headers._headers


def dicom(path: Path, number: int) -> None:
    """A small film whose header says a patient, an age and a view."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = DigitalXRayImageStorageForPresentation
    film.SOPInstanceUID, film.StudyInstanceUID = f"1.2.{number}", f"1.3.{number}"
    film.PatientID, film.PatientAge, film.PatientSex = f"P{number % 4}", f"{number + 20:03}Y", "F"
    film.Modality, film.ViewPosition = "DX", "PA"
    film.Rows, film.Columns, film.SamplesPerPixel = 8, 6 + number % 2, 1
    film.PhotometricInterpretation = "MONOCHROME2"
    film.BitsAllocated = film.BitsStored = 8
    film.HighBit, film.PixelRepresentation = 7, 0
    film.PixelData = np.full(film.Rows * film.Columns, number, np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, film, enforce_file_format=True)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for number in range(COUNT):
        dicom(root / ("covid", "normal")[number % 2] / f"{number:02}.dcm", number)
    (root / "covid" / "05b.dcm").write_bytes(bytes(128) + b"DICM" + b"x" * 40)
    return root


class Pickling(SerialExecutor):
    """Tasks and results through pickle, as between processes."""

    def map(
        self, function: Function[Any, Any], tasks: Iterable[Any], progress: Progress
    ) -> Iterator[Any]:
        for task in pickle.loads(pickle.dumps(list(tasks))):  # noqa: S301
            yield pickle.loads(pickle.dumps(function(task, progress)))  # noqa: S301


def scanned(films: Path, workers: images.Readers) -> str:
    """All that a scan gives, and the table behind it."""
    manifest = open_path(films, options=TreeOptions(workers=workers))
    table = manifest.table.to_json()
    return json.dumps([scan.scan(manifest, workers=workers).as_json(), table])


def test_tasks_of_any_size_give_the_same_scan(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = scanned(films, 1)
    assert json.loads(alone)[0]["patients"] == 4
    assert "05b.dcm" in alone
    asked: list[int] = []

    @contextmanager
    def of(workers: int, *rest: int) -> Iterator[SerialExecutor]:
        asked.append(workers)
        yield Pickling() if workers > 1 else SerialExecutor()

    monkeypatch.setattr(files, "executor_of", of)
    for size in (1, 4):
        monkeypatch.setattr(headers, "CHUNK", size)
        assert scanned(films, 3) == alone
    assert asked == [3] * 4
    monkeypatch.setattr(headers, "CHUNK", 100)  # one task: no process is started
    assert scanned(films, 3) == alone
    assert asked[4:] == [1, 1]


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_actors_of_ray_give_the_same_scan(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = scanned(films, 1)
    monkeypatch.setattr(headers, "CHUNK", 3)
    with readers_of_headers(2, "local") as actors:
        assert scanned(films, actors) == alone
    with readers_of_headers(2, "") as processes:
        assert processes == 2


def test_progress_counts_files(films: Path) -> None:
    seen: list[tuple[int, int]] = []
    paths = [str(path) for path in sorted(films.rglob("*.dcm"))]
    found = list(images.read_headers(paths, lambda *at: seen.append(at)))
    assert seen == [(count, len(paths)) for count in range(1, len(paths) + 1)]
    assert [type(header) for header in found].count(str) == 1
    assert list(images.read_headers([])) == []


def test_a_file_that_ends_every_process_is_among_those_named(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def of(workers: int, *rest: int) -> Iterator[Any]:
        yield Losing()

    class Losing:
        def map(self, function: Any, tasks: Iterable[Any], progress: Progress) -> Iterator[Any]:
            first, *_ = tasks
            yield function(first, progress)
            raise WorkerLostError("signal SIGKILL")

    monkeypatch.setattr(files, "executor_of", of)
    monkeypatch.setattr(headers, "CHUNK", 4)
    paths = [str(path) for path in sorted(films.rglob("*.dcm"))]
    found = images.read_headers(paths, workers=2)
    for _ in range(4):
        next(found)
    said = rf"3 ended at the files from '{paths[4]}' to '{paths[7]}' \(signal SIGKILL\)"
    with pytest.raises(HilumError, match=said):
        next(found)


def dying_once(paths: tuple[str, ...], progress: Progress) -> list[headers.Header]:
    """As the real one, but the first process at a film ends there."""
    mark = Path(paths[0]).parents[1] / "died"
    if not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return _real(paths, progress)


@pytest.mark.slow
def test_two_processes_and_a_kill(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = scanned(films, 1)
    monkeypatch.setattr(headers, "CHUNK", 3)
    assert scanned(films, 2) == alone
    monkeypatch.setattr(headers, "_headers", dying_once)
    paths = [str(path) for path in sorted(films.rglob("*.dcm"))]
    found = list(images.read_headers(paths, workers=2))
    (films / "died").unlink()  # one was there
    monkeypatch.undo()
    assert found == list(images.read_headers(paths))
