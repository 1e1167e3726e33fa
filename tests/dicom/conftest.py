"""Fixtures of the tests of results as DICOM: one tiny model, and its films with their answers."""

import pytest
from result_films import KINDS, Film, as_file, film, save_model

import hilum


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> hilum.Model:
    return hilum.load_model(save_model(tmp_path_factory.mktemp("dicom") / "model"))


@pytest.fixture(scope="session")
def films(model: hilum.Model) -> dict[str, Film]:
    """Modality -> a film and what the model answers."""
    sources = {kind: film(kind) for kind in KINDS}
    files = {kind: as_file(dataset) for kind, dataset in sources.items()}
    return {kind: Film(sources[kind], files[kind], model.predict(files[kind])) for kind in KINDS}
