"""Fetching from a local server, and archives that were made to do harm."""

import bz2
import gzip
import hashlib
import io
import random
import stat
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hilum import files
from hilum.data import manifest
from hilum.datasets import archive, download
from hilum.datasets.archive import ArchiveLimits
from hilum.datasets.base import Dataset, DatasetCard, Download
from hilum.datasets.download import fetch
from hilum.datasets.registry import DATASETS
from hilum.types import HilumError, MissingError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "cache"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a server shows it."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return stream.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as opened:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


MEMBERS = {"toy-master/COVID/1.png": b"one", "toy-master/normal/2.png": b"two" * 1000}


@pytest.fixture
def offer(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, bytes], str | None], None]:
    """Put files on the server and a card "toy" that names them into the table."""

    def put(content: dict[str, bytes], wrong: str | None = None) -> None:
        folder, url = served
        downloads = []
        for name, data in content.items():
            (folder / name).write_bytes(data)
            checksum = wrong or hashlib.sha256(data).hexdigest()
            downloads.append(Download(f"{url}/{name}", checksum, name))
        monkeypatch.setitem(DATASETS, "toy", toy(tuple(downloads)))

    return put


def toy(download: tuple[Download, ...]) -> Dataset:
    card = DatasetCard(
        name="toy", title="Toy", folder="toy", licence="none", citation="none", homepage="none",
        download=download, access="Ask the author and put it into toy/.", modality="X-ray",
        population="none", single_age="unknown", patient_ids=False,
    )  # fmt: skip
    return Dataset(card, lambda folder: False, manifest.read_manifest)


# fetching


def test_a_dataset_arrives_as_published(offer: Callable[..., None], tmp_path: Path) -> None:
    offer({"toy.zip": zipped(MEMBERS), "table.csv": b"a,b\n"})
    seen: list[tuple[int, int]] = []
    folder = fetch("toy", tmp_path / "data", lambda *n: seen.append(n))
    assert folder == tmp_path / "data" / "toy"
    assert seen[-1] == (4, 4)
    assert [p.name for p in folder.parent.iterdir() if not p.name.startswith(".")] == ["toy"]
    assert everything(folder)["COVID/1.png"] == b"one"


def test_the_cache_is_where_it_goes_unless_told(
    offer: Callable[..., None], served: tuple[Path, str]
) -> None:
    offer({"toy.tar.gz": tarred({"a/1.png": b"x", "b/2.png": b"y"})})
    folder = fetch("toy")
    assert folder == download.datasets_home() / "toy"
    assert everything(folder) == {"a/1.png": b"x", "b/2.png": b"y"}
    (served[0] / "toy.tar.gz").unlink()
    assert fetch("toy") == folder  # nothing is asked of the network


def test_a_wrong_checksum_leaves_nothing(offer: Callable[..., None], tmp_path: Path) -> None:
    offer({"toy.zip": zipped(MEMBERS)}, "0" * 64)
    with pytest.raises(HilumError, match="must have SHA-256 0000"):
        fetch("toy", tmp_path / "data")
    assert not (tmp_path / "data" / "toy").exists()
    assert everything(tmp_path / "data") == {}


def test_a_damaged_archive_leaves_no_folder(offer: Callable[..., None], tmp_path: Path) -> None:
    offer({"toy.zip": zipped(MEMBERS)[:-30]})
    with pytest.raises(HilumError, match=r"toy\.zip must be a sound archive"):
        fetch("toy", tmp_path / "data")
    assert [p.name for p in (tmp_path / "data").iterdir()] == [".downloads"]


def test_what_needs_an_account_says_where_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "toy", toy(()))
    with pytest.raises(MissingError, match="without a person: ask the author"):
        fetch("toy")


def test_an_address_that_is_gone_says_what_to_do_by_hand(
    offer: Callable[..., None], served: tuple[Path, str], tmp_path: Path
) -> None:
    offer({"toy.zip": b""})
    (served[0] / "toy.zip").unlink()
    with pytest.raises(MissingError, match=r"HTTP 404.* Or by hand: Ask the author"):
        fetch("toy", tmp_path)


def test_an_unknown_name_meets_its_neighbour() -> None:
    with pytest.raises(HilumError, match="got 'kermani'; did you mean 'kermany'"):
        fetch("kermani")
    with pytest.raises(HilumError, match="see `hilum data list`"):
        fetch("zzzz")


def test_a_place_that_cannot_be_is_said(offer: Callable[..., None], tmp_path: Path) -> None:
    offer({"toy.zip": zipped(MEMBERS)})
    (tmp_path / "file").write_text("")
    with pytest.raises(HilumError, match="part of the path is a file"):
        fetch("toy", tmp_path / "file")


# archives that are sound


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_files_of_every_kind_unpack(tmp_path: Path, mode: str) -> None:
    suffix = mode.replace("w:", ".").replace("w", "")
    packed = tmp_path / f"a.tar{suffix}"
    packed.write_bytes(tarred({"./a/1": b"x", "b/Ünï (1).png": b"y"}, mode))
    assert archive.is_archive(packed)
    assert archive.extract(packed, tmp_path / "out") == 2
    assert everything(tmp_path / "out") == {"a/1": b"x", "b/Ünï (1).png": b"y"}


def test_zip_folders_backslashes_and_the_root_are_fine(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a/": b"", "b\\c.png": b"1", "d/e.png": b""}))
    archive.extract(tmp_path / "a.zip", tmp_path / "out")
    assert everything(tmp_path / "out") == {"b/c.png": b"1", "d/e.png": b""}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as opened:
        root = tarfile.TarInfo("./")
        root.type = tarfile.DIRTYPE
        opened.addfile(root)
    (tmp_path / "b.tar").write_bytes(stream.getvalue())
    assert archive.extract(tmp_path / "b.tar", tmp_path / "out") == 1


# archives that are not: reliability case E-05

HOSTILE = [
    *(up + end for up in ("../", "a/../../", "..\\", "a\\..\\..\\", "./../", "a//../../", "..//")
      for end in ("x", "etc/passwd", "x.png", "../x", "a/b", ".ssh/keys", "..", "...")),
    *("/" * n + end for n in (1, 2, 3) for end in ("x", "etc/passwd", "tmp/x", "../x", "root/x")),
    *("\\" * n + end for n in (1, 2) for end in ("x", "host\\share\\x", "?\\C:\\x", ".\\pipe\\x")),
    *(drive + end for drive in ("C:", "c:", "Z:", "AA:", "C:/", "C:\\", "file:", "file://")
      for end in ("x", "Windows/x", "../x", "a\\b")),
    *(f"a/{name}" for name in ("..", "....", ". .", " ..", ".. ", "..\t", "\u2025", "\uff0e\uff0e",
      "\u2024\u2024", "x:stream", "x\uff1astream", "..\uff0fx", "..\uff3cx", "x\x01", "x\n")),
    *(f"{device}{end}" for device in ("CON", "nul", "PRN", "aux", "COM1", "LPT9", "com0")
      for end in ("", ".txt", ".png", ".tar.gz", " .txt")),
    *(f"{folder}/{name}" for folder in ("a", "a/b", ".") for name in ("NUL", "../../x", "x" * 300)),
    *(f"a/{'../' * n}x" for n in range(2, 22)),
]  # fmt: skip


def test_there_are_as_many_hostile_names_as_promised() -> None:
    assert len(set(HOSTILE)) >= 180  # links, devices and twins follow below


@pytest.mark.parametrize("pack", [zipped, partial(tarred, mode="w")], ids=["zip", "tar"])
def test_hostile_names_write_nothing_outside(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    inside = tmp_path / "deep" / "er" / "out"
    for name in HOSTILE:
        packed = tmp_path / ("a.zip" if pack is zipped else "a.tar")
        packed.write_bytes(pack({"fine.png": b"1", name: b"harm"}))
        with pytest.raises(HilumError, match="could lead outside"):
            archive.extract(packed, inside)
        assert everything(inside) == {"fine.png": b"1"}, name
        (inside / "fine.png").unlink()
    outside = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    assert outside <= {"a.zip", "a.tar"}


def test_a_nul_in_a_zip_name_is_refused(tmp_path: Path) -> None:
    data = zipped({"a/evilX.png": b"1"}).replace(b"evilX", b"evil\0")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(HilumError, match="could lead outside"):
        archive.extract(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
@pytest.mark.parametrize("target", ["../../x", "/etc/passwd", "fine.png"])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as opened:
        info = tarfile.TarInfo("a")
        info.type, info.linkname = kind, target
        opened.addfile(info)
        through = tarfile.TarInfo("a/x")
        through.size = 4
        opened.addfile(through, io.BytesIO(b"harm"))
    (tmp_path / "a.tar").write_bytes(stream.getvalue())
    with pytest.raises(HilumError, match=r"'a', which is a (link|device)"):
        archive.extract(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize(
    ("mode", "words"),
    [(stat.S_IFLNK, "a link"), (stat.S_IFCHR, "a device"), (stat.S_IFIFO, "a dev")],
)
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, mode: int, words: str) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(info, "/etc/passwd")
    with pytest.raises(HilumError, match=f"which is {words}"):
        archive.extract(tmp_path / "a.zip", tmp_path / "out")


def test_members_that_come_twice_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(stream, "w") as opened:
            opened.writestr("a", "first")
            opened.writestr("a", "second")
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    with pytest.raises(HilumError, match="'a' twice"):
        archive.extract(tmp_path / "a.zip", tmp_path / "one")
    (tmp_path / "b.zip").write_bytes(zipped({"a": b"", "a/b": b""}))
    with pytest.raises(HilumError, match="'a/b' twice, or as file and folder"):
        archive.extract(tmp_path / "b.zip", tmp_path / "two")
    assert (tmp_path / "one" / "a").read_text() == "first"


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"1"}))
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(HilumError, match="which is encrypted"):
        archive.extract(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_bombs_are_refused_before_they_unpack(tmp_path: Path, name: str) -> None:
    pack = zipped if name.endswith("zip") else tarred
    (tmp_path / name).write_bytes(pack({"zeros": bytes(64 << 20)}))
    with pytest.raises(HilumError, match="'zeros' that unpacks beyond"):
        archive.extract(tmp_path / name, tmp_path / "out")
    assert everything(tmp_path / "out") == {}


def test_many_small_members_are_counted_together(tmp_path: Path) -> None:
    limits = ArchiveLimits(members=10, free=2500)
    (tmp_path / "a.zip").write_bytes(zipped({str(i): bytes(1000) for i in range(5)}))
    small = ArchiveLimits(ratio=1, free=2500)
    assert archive.extract(tmp_path / "a.zip", tmp_path / "one", limits=limits) == 5
    with pytest.raises(HilumError, match="'2' that unpacks beyond 2500 bytes"):
        archive.extract(tmp_path / "a.zip", tmp_path / "two", limits=small)
    (tmp_path / "b.zip").write_bytes(zipped({str(i): b"" for i in range(11)}))
    with pytest.raises(HilumError, match="more than 10 members"):
        archive.extract(tmp_path / "b.zip", tmp_path / "three", limits=limits)


def test_a_zip_that_lies_about_its_sizes_stays_within_bounds(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": bytes(1 << 20)}))
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = data.index(signature) + offset
        data[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(HilumError, match="must be a sound archive"):
        archive.extract(tmp_path / "a.zip", tmp_path / "out")
    assert sum(len(content) for content in everything(tmp_path / "out").values()) <= 10


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", b""),
        ("a.zip", b"not a zip"),
        ("a.tar", b""),
        ("a.tar.gz", b"\x1f\x8b" + b"x" * 100),
        ("a.tar.gz", gzip.compress(b"not a tar" * 100)),
        ("a.tar.gz", tarred({"a": bytes(random.Random(0).randbytes(99_999))})[:5000]),
        ("a.tar.bz2", bz2.compress(tarred({"a": b"1" * 5000}, "w"))[:-20]),
        ("a.tar.xz", tarred({"a": b"1" * 5000}, "w:xz")[:-60]),
    ],
    ids=["empty", "no zip", "no tar", "no gzip", "gzip of text", "cut gzip", "cut bzip", "cut xz"],
)
def test_damage_is_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HilumError, match="must be a sound archive of plain files"):
        archive.extract(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar", "w"), ("a.tgz", "w:gz"), ("a.tbz2", "w:bz2"), ("a.txz", "w:xz"), ("a.zip", "")],
)
def test_a_cut_off_archive_is_never_taken_for_a_shorter_one(
    tmp_path: Path, name: str, mode: str
) -> None:
    members = {f"{i}.png": random.Random(i).randbytes(700) for i in range(5)}
    whole = tarred(members, mode) if mode else zipped(members)
    for cut in range(0, len(whole), 67):
        (tmp_path / name).write_bytes(whole[:cut])
        try:
            archive.extract(tmp_path / name, tmp_path / str(cut))
        except HilumError:
            continue
        assert everything(tmp_path / str(cut)) == members


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_random_damage_raises_nothing_else(tmp_path: Path, name: str) -> None:
    rng = random.Random(7)
    members = {f"f{i}/{i}.png": rng.randbytes(200) for i in range(4)}
    whole = (
        zipped(members) if name == "a.zip" else tarred(members, "w" if name == "a.tar" else "w:gz")
    )
    inside = tmp_path / "home" / "out"
    for trial in range(300):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / name).write_bytes(data)
        try:
            archive.extract(tmp_path / name, inside / str(trial))
        except HilumError:
            continue
    assert {p for p in tmp_path.rglob("*") if p.is_file() and inside not in p.parents} == {
        tmp_path / name
    }


def test_a_full_disk_while_unpacking_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a": b"1" * 1000}))

    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_pour", full)
    with pytest.raises(HilumError, match="the disk is full"):
        archive.extract(tmp_path / "a.zip", tmp_path / "out")
    assert files.sha256(tmp_path / "a.zip")
