"""Who may ask: the token, names of hosts, other sites' pages."""

from collections.abc import Callable
from pathlib import Path

import pytest
from films_to_send import encoded, grey
from serving import problem
from starlette.testclient import TestClient

from hilum.serve.access import Access, access_for
from hilum.types import HilumError, MissingError

KEY = "0123456789abcdef-secret"
FILM = encoded(".png", grey())
Make = Callable[..., TestClient]


def file(folder: Path, content: str) -> Path:
    (folder / "token").write_text(content)
    return folder / "token"


def test_without_the_token_there_is_no_answer(in_process: Make) -> None:
    client = in_process(access=Access(KEY))
    for header in ("", "Bearer", "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x", KEY):
        headers = {"Authorization": header} if header else {}
        for ask in (
            lambda h: client.post("/v1/predict", content=FILM, headers=h | RAW),
            lambda h: client.get("/v1/model", headers=h),
            lambda h: client.get("/metrics", headers=h),
            lambda h: client.get("/openapi.json", headers=h),
            lambda h: client.get("/v1/nothing", headers=h),
        ):
            refused = problem(ask(headers), 401, "Authorization: Bearer TOKEN")
            assert refused.headers["www-authenticate"] == "Bearer"
            assert KEY not in refused.text


RAW = {"Content-Type": "image/png"}


def test_with_the_token_there_is(in_process: Make) -> None:
    client = in_process(access=Access(KEY))
    for header in (f"Bearer {KEY}", f"bearer  {KEY} "):
        headers = {"Authorization": header}
        assert client.post("/v1/predict", content=FILM, headers=headers | RAW).status_code == 200
        assert client.get("/v1/model", headers=headers).status_code == 200


def test_the_page_and_health_need_none(in_process: Make) -> None:
    client = in_process(access=Access(KEY))
    for path in ("/", "/page/page.js", "/page/page.css", "/page/icon.svg", "/health", "/ready"):
        assert client.get(path).status_code == 200, path


def test_another_sites_page_is_refused_and_gets_no_leave(in_process: Make) -> None:
    client = in_process(access=access_for("127.0.0.1", None))
    for origin in ("https://evil.example", "null", "http://localhost:9", "http://[", "x"):
        refused = client.post("/v1/predict", content=FILM, headers=RAW | {"Origin": origin})
        problem(refused, 403, "another site's page")
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for response in (
        client.options("/v1/predict", headers=asked), client.get("/v1/model"),
        client.post("/v1/predict", content=FILM, headers=RAW | {"Origin": "http://localhost"}),
    ):  # fmt: skip
        assert not [name for name in response.headers if name.startswith("access-control")]
    assert response.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "", "[::2]", "127.0.0.1.nip"]
)
def test_a_name_that_another_site_made_to_lead_here_is_refused(in_process: Make, host: str) -> None:
    client = in_process(access=access_for("127.0.0.1", None))
    problem(client.get("/v1/model", headers={"Host": host}), 421, "got another host name")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_names_of_this_machine_are_its_own(in_process: Make, host: str) -> None:
    client = in_process(access=access_for("127.0.0.1", None))
    assert client.get("/v1/model", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "films.example"])  # noqa: S104
def test_other_machines_need_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="needs a token; got none; give --token-file FILE"):
        access_for(host, None)
    access = access_for(host, file(tmp_path, f"{KEY}\n"))
    assert access == Access(KEY)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_needs_none(host: str) -> None:
    access = access_for(host, None)
    assert host in access.hosts
    assert access.token == ""


@pytest.mark.parametrize("content", ["", "short", "two words of a token", "ümlaut-0123456789abc"])
def test_a_weak_token_is_refused_and_not_repeated(content: str, tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="at least 16 ASCII") as error:
        access_for("127.0.0.1", file(tmp_path, content))
    assert not content or content not in str(error.value)


def test_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="which does not exist; write one there"):
        access_for("127.0.0.1", tmp_path / "nothing")


def test_every_answer_is_closed_to_other_sites_and_caches(in_process: Make) -> None:
    client = in_process()
    for path in ("/", "/v1/model", "/v1/nothing", "/page/page.js", "/metrics"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
