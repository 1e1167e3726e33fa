"""OpenAPI is valid, names bodies and problems; metrics count; a fault of ours has no words."""

import logging
from collections.abc import Callable

import pytest
from fastapi.openapi.models import OpenAPI
from films_to_send import encoded, grey
from prometheus_client.parser import text_string_to_metric_families
from serving import problem
from starlette.testclient import TestClient

from hilum.serve.engine import Engine
from hilum.serve.uploads import MULTIPART, RAW

FILM = encoded(".png", grey())
Make = Callable[..., TestClient]


def test_openapi_is_valid_and_names_bodies_and_problems(in_process: Make) -> None:
    record = in_process().get("/openapi.json").json()
    whole = OpenAPI.model_validate(record)
    assert whole.openapi.startswith("3.1")
    assert set(record["paths"]) == {"/v1/predict", "/v1/model", "/health", "/ready", "/metrics"}
    predict = record["paths"]["/v1/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {MULTIPART, *RAW}
    assert {"200", "400", "401", "403", "408", "413", "415", "421", "422", "503"} == set(
        predict["responses"]
    )
    for path in record["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status != "200":
                    assert list(response["content"]) == ["application/problem+json"]


def test_metrics_count_films_and_requests(in_process: Make) -> None:
    client = in_process()
    headers = {"Content-Type": "image/png"}
    client.post("/v1/predict", content=FILM, headers=headers)
    client.post("/v1/predict", content=b"no image", headers=headers)
    client.get("/v1/nowhere")
    client.get("/v1/predict")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    counts = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert counts["hilum_films_total", "unreadable"] == 1
    answered = sum(counts.get(("hilum_films_total", o), 0) for o in ("answered", "abstained"))
    assert answered == 1
    assert counts["hilum_requests_total", "/v1/predict", "200"] == 1
    assert counts["hilum_requests_total", "/v1/predict", "422"] == 1
    assert counts["hilum_requests_total", "404", "other"] == 1
    assert counts["hilum_request_seconds_count", "/v1/predict"] == 3


def test_a_fault_of_ours_has_no_words(
    in_process: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ValueError("Jane Doe")

    monkeypatch.setattr(Engine, "_answers", break_down)
    client = in_process()
    with caplog.at_level(logging.DEBUG):
        response = client.post("/v1/predict", content=FILM, headers={"Content-Type": "image/png"})
    problem(response, 500, "the server has failed")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "hilum.serve"]
    assert line.startswith("fault: ValueError at test_openapi.py:")
    assert "Jane" not in caplog.text + response.text
