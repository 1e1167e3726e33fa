"""Fifty planted words of patients, files and tokens: no log, metric, error or file has one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import numpy as np
from films_to_send import dicom, encoded, grey, multipart
from server_process import start
from serving import Tiny

KEY = "canary49tokenaaaaaaaaaaaaaaaa"
CHARACTERS = "ISO_IR 100"  # a letter longer than a planted word
TAGS = (
    "PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientComments",
    "AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "InstitutionName",
    "InstitutionAddress", "StationName", "ReferringPhysicianName", "PerformingPhysicianName",
    "OperatorsName", "RequestingPhysician", "ProtocolName", "ImageComments", "DeviceSerialNumber",
    "AdditionalPatientHistory",
)  # fmt: skip


def canary(number: int) -> str:
    return f"canary{number:02d}" + "abcdefghij"[number % 10]


@dataclass(frozen=True, slots=True)
class Planted:
    """Films with words of their own, and all those words."""

    good: Mapping[str, bytes]
    bad: Mapping[str, bytes]
    words: tuple[str, ...]


def planted() -> Planted:
    """20 in the header of a readable film, 20 of one that is cut, and file names."""
    tags = [{tag: canary(i + 20 * turn) for i, tag in enumerate(TAGS)} for turn in (0, 1)]
    tags[0] |= {"SpecificCharacterSet": CHARACTERS}  # pydicom quotes it once it is another
    whole, other = (dicom(grey(turn), tag) for turn, tag in enumerate(tags))
    assert CHARACTERS.encode() in whole
    whole = whole.replace(CHARACTERS.encode(), f"{canary(0).upper()} ".encode())
    good = {f"{canary(40)}.dcm": whole, f"{canary(41)}/{canary(42)}.png": large_png()}
    bad = {
        f"{canary(43)}.dcm": other[: len(other) // 2],
        f"{canary(44)}.png": b"text of " + canary(45).encode(),
        f"{canary(46)}.tif": b"II*\0" + canary(47).encode() * 9,
        f"{canary(48)}.jpg": b"",
    }
    words = (*(canary(i) for i in range(49)), KEY)
    content = b"".join((*good.values(), *bad.values())).decode("latin-1")
    content += "".join((*good, *bad, KEY))
    assert [word for word in words if word not in content] == []
    assert len(words) == 50
    return Planted(good, bad, words)


def large_png() -> bytes:
    """More than a mebibyte, which the parser of forms would write to a file."""
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200), np.uint8)
    data = encoded(".png", noise)
    assert len(data) > 2**20
    return data


def test_no_planted_word_leaves(tiny: Tiny, tmp_path: Path) -> None:
    films = planted()
    scratch, home = tmp_path / "scratch", tmp_path / "home"
    scratch.mkdir()
    home.mkdir()
    token = tmp_path / "token"
    token.write_text(KEY)
    server = start(tiny.folder, "--token-file", token, TMPDIR=str(scratch), HOME=str(home))
    headers = {"Authorization": f"Bearer {KEY}"}
    predict, written, texts = f"{server.url}v1/predict", set(), []
    for upload in (films.good, films.bad, {**films.good, **films.bad}):
        response = httpx.post(
            f"{predict}?film=true&heatmap=true",
            files=multipart(upload),
            headers=headers,
            timeout=120,
        )
        answer = response.json()
        assert [row["path"] for row in answer["predictions"]] == list(upload)
        texts += [row["reason"] for row in answer["predictions"]]
        texts += [answer.get("detail", "")]
        written |= {path for path in scratch.rglob("*") if path.is_file()}
    for name, data in (*films.good.items(), *films.bad.items()):
        for kind, key in (
            ("application/dicom", KEY),
            ("text/plain", KEY),
            ("image/png", "x"),
        ):
            response = httpx.post(
                f"{predict}?film={canary(40)}" if key == "x" else predict, content=data,
                headers={"Content-Type": kind, "Authorization": f"Bearer {key}"}, timeout=120,
            )  # fmt: skip
            texts += [response.json().get("detail", ""), str(response.headers)]
            texts += [row["reason"] for row in response.json().get("predictions", [])]
        texts.append(httpx.get(f"{server.url}{name}?{canary(41)}", headers=headers).text)
    for path in ("metrics", "v1/model", "openapi.json", "health"):
        texts.append(httpx.get(f"{server.url}{path}", headers=headers).text)
    done = server.stop()
    assert done.code == 0
    texts += [done.out, done.err]
    assert leaks(films.words, "\n".join(texts)) == []
    assert written == set()
    left = [path for path in (*scratch.rglob("*"), *home.rglob("*")) if path.is_file()]
    content = "\n".join(path.read_bytes().decode("latin-1") for path in left)
    assert leaks(films.words, content + "\n".join(map(str, left))) == []


def leaks(words: tuple[str, ...], text: str) -> list[str]:
    return [word for word in words if word in text.lower()]


def test_the_test_would_see_a_leak() -> None:
    assert leaks(planted().words, f"x {canary(3)} y") == [canary(3)]
    assert leaks(planted().words, f"Bearer {KEY}") == [KEY]
