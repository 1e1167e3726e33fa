"""An exported folder at work: `evaluate` scores it as its model, `serve` answers with it."""

import asyncio
from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from export_models import CLASSES

import hilum
from hilum import phantom
from hilum.experiment.evidence import with_kept_answers
from hilum.explain.render import OPAQUE
from hilum.inference import exported as exports
from hilum.inference.digest import model_digest
from hilum.serve.limits import ServerLimits
from hilum.serve.service import Service
from hilum.serve.uploads import Upload


@pytest.fixture(scope="module")
def labelled(films: phantom.Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 films in folders of three classes."""
    root = tmp_path_factory.mktemp("labelled")
    for i in range(24):
        place = root / films.table["label"][i]
        place.mkdir(exist_ok=True)
        cv2.imwrite(str(place / f"patient{i}.png"), films.images[i])
    return root


def test_audits_take_a_graph_that_names_no_weights(exported: Path) -> None:
    model = exports.load(exported)
    assert not model.has_network
    assert with_kept_answers(model) is model.runtime


@pytest.mark.slow
def test_evaluate_gives_the_scores_of_the_model_itself(
    exported: Path, folder: Path, labelled: Path, tmp_path: Path
) -> None:
    tables, results = [], []
    for place, out in ((folder, tmp_path / "model"), (exported, tmp_path / "export")):
        results.append(hilum.evaluate(place, labelled, out))
        tables.append(pd.read_csv(out / "predictions.csv"))
    columns = [f"p_{name}" for name in CLASSES]
    want, got = (table.sort_values("sample_id") for table in tables)
    assert list(got["sample_id"]) == list(want["sample_id"])
    assert len(got) == 24
    assert np.abs(got[columns].to_numpy() - want[columns].to_numpy()).max() < 1e-5
    own, of_graph = (
        {(row.name, row.class_): row.value for row in result.scores} for result in results
    )
    assert own.keys() == of_graph.keys()
    for key, value in own.items():
        assert of_graph[key] == pytest.approx(value, abs=1e-4, nan_ok=True), key
    assert (tmp_path / "export" / "report.html").is_file()


def test_a_server_answers_with_an_exported_folder(exported: Path, labelled: Path) -> None:
    model = exports.load(exported)
    service = Service.of(model, model_digest(exported), ServerLimits(decoders=1))
    paths = sorted(labelled.rglob("*.png"))[:3]
    uploads = [Upload(path.name, path.read_bytes()) for path in paths]
    service.start()
    try:
        rows, _ = asyncio.run(service.answer(uploads, heat=True, picture=False))
    finally:
        service.stop()
    want = hilum.load_model(exported).predict(paths)
    assert [row.probabilities for row in rows] == [answer.probabilities for answer in want]
    assert [row.reason for row in rows] == [answer.reason for answer in want]
    explained = hilum.load_model(exported)
    for row, path in zip(rows, paths, strict=True):
        assert row.heatmap is not None
        assert (row.heatmap.reason, row.heatmap.class_) == ("", row.label)
        layer = cv2.imdecode(np.frombuffer(b64decode(row.heatmap.png), np.uint8), -1)
        assert layer is not None
        heat = explained.explain(path).array
        assert np.abs(layer[..., 3] / (255 * OPAQUE) - heat).max() < 0.01
