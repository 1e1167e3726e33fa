"""An archive with a node beside it, films that went through both, and what `hilum predict` says."""

import csv
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import orthanc
import pytest
from archive_films import MADE, Ward, as_sent
from dicomweb_client import DICOMwebClient
from orthanc import AET, LOOPBACK, Orthanc
from pydicom import Dataset, dcmread

import hilum
from hilum.experiment import predict
from hilum.progress import silent


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Orthanc with DICOMweb."""
    if reason := orthanc.missing():
        pytest.skip(reason)
    with orthanc.orthanc(tmp_path_factory.mktemp("orthanc")) as started:
        yield started


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every film as a file of its name."""
    folder = tmp_path_factory.mktemp("films")
    made = {name: folder / f"{name}.dcm" for name in MADE}
    for name, path in made.items():
        path.write_bytes(as_sent(name))
    return made


@pytest.fixture(scope="session")
def predicted(
    model: hilum.Model, paths: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """The rows of `hilum predict`, by the film's name."""
    out = tmp_path_factory.mktemp("predicted") / "preds.csv"
    predict.predict_files(model.folder, [*paths.values()], out, silent)
    with out.open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).stem: row for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def ward(
    archive: Orthanc,
    model: hilum.Model,
    paths: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Ward:
    """Films sent to the archive, which sends them on; their results, fetched by DICOMweb."""
    folder = tmp_path_factory.mktemp("ward")
    spool = folder / "spool"
    with orthanc.node(
        model.folder, spool, "--archive", f"{AET}@{LOOPBACK}:{archive.dicom}", "--http", "0"
    ) as record:
        archive.know(record["port"])
        for name, path in paths.items():
            orthanc.send(archive.dicom, AET, [path], *MADE[name].words)
        status = orthanc.settled(spool, len(paths))
        served = orthanc.post(f"{record['url']}v1/predict", paths["DX"].read_bytes())
    films = {name: dcmread(path) for name, path in paths.items()}
    results = {name: fetched(archive, film, folder, name) for name, film in films.items()}
    return Ward(films, results, status, served)


def fetched(archive: Orthanc, film: Dataset, folder: Path, name: str) -> dict[str, Path]:
    """The results of a film's study, by DICOMweb, as files."""
    client = DICOMwebClient(archive.web)
    found: dict[str, Path] = {}
    for each in client.retrieve_study(film.StudyInstanceUID):
        if each.SOPInstanceUID == film.SOPInstanceUID:
            continue
        file = BytesIO()
        each.save_as(file, enforce_file_format=True)
        assert each.Modality not in found
        found[each.Modality] = folder / f"{name}-{each.Modality}.dcm"
        found[each.Modality].write_bytes(file.getvalue())
    return found
