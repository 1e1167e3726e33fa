"""Hashes against published vectors, writes under faults, downloads from a misbehaving server."""

import ctypes
import errno
import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from hilum import files
from hilum.files import HttpLimits
from hilum.types import HilumError, MissingError

pytestmark = pytest.mark.usefixtures("synchronised")
CONTENT = bytes(range(256)) * 4096  # 1 MiB
CONTENT_SHA = hashlib.sha256(CONTENT).hexdigest()
QUICK = HttpLimits(tries=3, pause=0.0, timeout=2.0)


@dataclass
class Site:
    """A local server: what it holds, how it misbehaves, what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    etag: str = '"v1"'
    length: bool = True
    cut: list[int] = field(default_factory=list)  # bytes after which each answer in turn breaks off
    statuses: list[int] = field(default_factory=list)  # answered in turn before anything else
    redirect: str = ""
    shift: int = 0  # a wrong Content-Range
    asked: list[str | None] = field(default_factory=list)  # Range headers


class Handler(BaseHTTPRequestHandler):
    """Answers for `site`, which a subclass holds."""

    site: Site

    def do_GET(self) -> None:
        self.site.asked.append(self.headers["Range"])
        if self.site.statuses:
            self.send_error(self.site.statuses.pop(0))
        elif self.site.redirect:
            self.send_response(302)
            self.send_header("Location", self.site.redirect)
            self.end_headers()
        else:
            self.answer(self.start())

    def start(self) -> int:
        wanted = self.headers["Range"]
        stale = self.headers["If-Range"] not in (None, self.site.etag)
        if stale or not (self.site.ranges and wanted):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def answer(self, start: int) -> None:
        site, total = self.site, len(self.site.content)
        if start >= total:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        span = f"bytes {start + site.shift}-{total - 1}/{total}"
        said = {
            "Content-Range": span if start else "",
            "ETag": site.etag,
            "Content-Length": str(total - start) if site.length else "",
        }
        for name, value in said.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(site.content[start : start + site.cut.pop(0) if site.cut else total])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": site}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/a.bin"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


# hashes


def test_sha256_gives_the_published_value(tmp_path: Path) -> None:
    # FIPS 180-4 example: the message "abc"
    (tmp_path / "a").write_bytes(b"abc")
    wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256(tmp_path / "a") == wanted


def test_digest_is_stable_across_processes_and_key_order() -> None:
    part = {"b": [1, 2.5, None, "é"], "a": True}
    code = (
        "from hilum import files; print(files.stable_digest({'a': True, 'b': (1, 2.5, None, 'é')}))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert files.stable_digest(part) == other
    assert len(other) == 32


def test_digest_tells_boundaries_and_kinds_apart() -> None:
    different = [
        files.stable_digest("ab"),
        files.stable_digest("a", "b"),
        files.stable_digest(["a", "b"]),
        files.stable_digest(b'"ab"'),
        files.stable_digest(b"ab"),
        files.stable_digest(1),
        files.stable_digest("1"),
        files.stable_digest(None),
        files.stable_digest(),
    ]
    assert len(set(different)) == len(different)
    assert files.stable_digest(Path("a/b")) == files.stable_digest("a/b")


def test_digest_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(TypeError):
        files.stable_digest({1, 2})


# cache home


def test_cache_home_prefers_the_variable_then_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "x"))
    assert files.cache_home() == tmp_path / "x"
    monkeypatch.delenv("HILUM_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "y"))
    assert files.cache_home() == tmp_path / "y" / "hilum"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/invalid")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.cache_home() == tmp_path / ".cache" / "hilum"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert files.cache_home() == tmp_path / "Library" / "Caches" / "hilum"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert files.cache_home() == tmp_path / "local" / "hilum"


# atomic writes


def _half(path: Path) -> None:
    path.write_text("half")
    raise LookupError


def _write(path: Path) -> None:
    with files.atomic_write(path) as temporary:
        temporary.write_text("new")


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_atomic_write_replaces_a_link_and_no_pipe(tmp_path: Path) -> None:
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    (tmp_path / "file").write_text("old")
    link.symlink_to("file")
    with files.atomic_write(link) as temporary:
        temporary.write_text("new")
    assert not link.is_symlink()
    assert (link.read_text(), (tmp_path / "file").read_text()) == ("new", "old")
    os.mkfifo(pipe)
    with pytest.raises(HilumError, match="pipe must be a file; got a device or a pipe"):
        files.require_own(pipe, b"", "--out")
    with pytest.raises(HilumError, match="got a device"), files.atomic_write(pipe):
        pass
    assert pipe.is_fifo()


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from hilum import files\n"
        "with files.atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.csv")], check=False)
    (left,) = tmp_path.iterdir()
    others = [tmp_path / name for name in ("a.csv", ".a.csv", ".notes-a.csv", left.name[1:])]
    for path in others:
        path.write_text("kept")
    files.remove_unfinished(tmp_path, "b.csv")
    assert left.exists()
    files.remove_unfinished(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(others)
    files.remove_unfinished(tmp_path / "nowhere")


def test_atomic_write_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.csv.gz"
    for text in ("first", "second"):
        with files.atomic_write(target) as temporary:
            assert temporary.suffixes == target.suffixes
            temporary.write_text(text)
        assert target.read_text() == text
    assert [p.name for p in target.parent.iterdir()] == ["out.csv.gz"]


def test_a_failed_block_keeps_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    with pytest.raises(LookupError), files.atomic_write(target) as temporary:
        _half(temporary)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_process_killed_while_writing_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    code = (
        "import os, sys; from hilum import files\n"
        "with files.atomic_write(sys.argv[1]) as t:\n"
        "    t.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert ended.returncode == -9
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission"), (errno.EIO, "input/output")],
)
@pytest.mark.parametrize("call", ["fsync", "open", "replace"])
def test_faults_at_each_call_become_a_sentence_and_keep_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, call: str
) -> None:
    target = tmp_path / "out"
    target.write_text("old")

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((Path, call, refuse) if call == "replace" else (os, call, refuse)))
    with pytest.raises(HilumError, match=words) as caught:
        _write(target)
    monkeypatch.undo()
    assert str(target) in str(caught.value)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_inside_the_block_becomes_a_sentence(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(HilumError, match="disk is full"), files.atomic_write(tmp_path / "out"):
        Path("/dev/full").write_text("x" * 100_000)


def test_another_files_fault_is_not_taken_for_the_writes_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.atomic_write(tmp_path / "out"):
        (tmp_path / "absent" / "input").read_text()


def test_a_path_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HilumError, match="part of the path is a file"):
        _write(tmp_path / "file" / "out")
    with pytest.raises(HilumError, match="it is a folder"):
        _write(tmp_path / "folder")


# downloads


def test_download_is_whole_checked_and_counted(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    got = files.download(
        site.url, tmp_path / "d" / "a.bin", CONTENT_SHA.upper(), lambda *n: seen.append(n), QUICK
    )
    assert got.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert [p.name for p in got.parent.iterdir()] == ["a.bin"]


def test_a_file_that_is_there_with_the_right_hash_is_not_fetched_again(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    files.download(site.url, tmp_path / "a", CONTENT_SHA, limits=QUICK)
    assert site.asked == []
    (tmp_path / "a").write_bytes(b"rotten")
    files.download(site.url, tmp_path / "a", CONTENT_SHA, limits=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_broken_connection_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.cut = [300_000, 500_000]
    files.download(site.url, tmp_path / "a", limits=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert site.asked == [None, "bytes=299999-", "bytes=799998-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(site: Site, tmp_path: Path) -> None:
    site.cut = [1000, 1000, 1000]
    with pytest.raises(MissingError, match="2998 bytes so far; run it again to go on"):
        files.download(site.url, tmp_path / "a", limits=QUICK)
    assert not (tmp_path / "a").exists()
    files.download(site.url, tmp_path / "a", limits=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert site.asked[-1] == "bytes=2997-"


def test_a_complete_part_needs_one_byte_only(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT)
    files.download(site.url, tmp_path / "a", CONTENT_SHA, limits=QUICK)
    assert site.asked == [f"bytes={len(CONTENT) - 1}-"]
    assert files.sha256(tmp_path / "a") == CONTENT_SHA


def test_a_server_without_ranges_starts_again(site: Site, tmp_path: Path) -> None:
    site.ranges, site.cut = False, [1000]
    files.download(site.url, tmp_path / "a", limits=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_new_version_on_the_server_is_never_glued_to_the_old(site: Site, tmp_path: Path) -> None:
    site.cut = [1000] * 3
    with pytest.raises(MissingError):
        files.download(site.url, tmp_path / "a", limits=QUICK)
    site.content, site.etag = CONTENT[::-1], '"v2"'
    files.download(site.url, tmp_path / "a", limits=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT[::-1]


def test_a_part_of_unknown_version_is_not_built_upon(site: Site, tmp_path: Path) -> None:
    site.etag = ""
    (tmp_path / "a.part").write_bytes(b"something else")
    files.download(site.url, tmp_path / "a", limits=QUICK)
    assert site.asked == [None]
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["wrong range", "part longer than the file"])
def test_ranges_that_do_not_fit_start_again(site: Site, tmp_path: Path, fault: str) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT[:500] if fault == "wrong range" else CONTENT * 2)
    site.shift = 7 if fault == "wrong range" else 0
    files.download(site.url, tmp_path / "a", CONTENT_SHA, limits=QUICK)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert site.asked[-1] is None


def test_a_wrong_checksum_names_both_and_deletes(site: Site, tmp_path: Path) -> None:
    wrong = "0" * 64
    with pytest.raises(HilumError, match=f"{wrong}; got {CONTENT_SHA}"):
        files.download(site.url, tmp_path / "a", wrong, limits=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_passing_faults_are_tried_again_lasting_ones_are_not(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429]
    files.download(site.url, tmp_path / "a", limits=QUICK)
    assert len(site.asked) == 3
    site.statuses = [404]
    with pytest.raises(MissingError, match=r"HTTP 404 Not Found; .*put it at"):
        files.download(site.url, tmp_path / "b", limits=QUICK)
    assert len(site.asked) == 4


def test_nobody_listening_is_a_missing_error(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"refused.* after 3 tries, 0 bytes so far"):
        files.download("http://127.0.0.1:9/a", tmp_path / "a", limits=QUICK)


def test_a_silent_server_times_out(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a"
        limits = HttpLimits(tries=1, pause=0.0, timeout=0.1)
        with pytest.raises(MissingError, match="timed out"):
            files.download(url, tmp_path / "a", limits=limits)


@pytest.mark.parametrize("length", [True, False])
def test_a_file_above_the_limit_is_refused(site: Site, tmp_path: Path, length: bool) -> None:
    site.length = length
    limits = HttpLimits(tries=1, bytes=len(CONTENT) - 1)
    with pytest.raises(HilumError, match=f"larger than {len(CONTENT) - 1} bytes"):
        files.download(site.url, tmp_path / "a", limits=limits)
    assert not any(p.suffix == ".part" for p in tmp_path.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/a",
        "data:,x",
        "/a/b",
        "",
        "http://",
        "http://[",
        "http://ä/",
    ],
)
def test_only_web_addresses_are_fetched(url: str, tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="http or https address"):
        files.download(url, tmp_path / "a", limits=QUICK)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a"])
def test_redirects_stay_on_the_web(site: Site, tmp_path: Path, target: str) -> None:
    site.redirect = target
    with pytest.raises(HilumError):
        files.download(site.url, tmp_path / "a", limits=QUICK)
    assert not (tmp_path / "a").exists()


def test_a_redirect_from_https_to_http_is_refused() -> None:
    from urllib.request import HTTPRedirectHandler, Request

    from hilum.files.download import _opener

    handler = next(h for h in _opener().handlers if isinstance(h, HTTPRedirectHandler))
    arguments: list[object] = [Request("https://a.example/x"), None, 302, "Found", {}]
    follow: Callable[..., object] = handler.redirect_request
    assert follow(*arguments, "https://b.example/x") is not None
    with pytest.raises(HilumError, match="must stay on https; got a redirect to 'http://b"):
        follow(*arguments, "http://b.example/x")


def test_a_disk_that_refuses_becomes_a_sentence(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HilumError, match="part of the path is a file"):
        files.download(site.url, tmp_path / "file" / "a", limits=QUICK)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HilumError, match=r"a must be written; got: the disk is full"):
        files.download(site.url, tmp_path / "a", limits=QUICK)


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups drawn below a folder, on a machine of eight cores."""
    from hilum.files import parallel

    monkeypatch.setattr(parallel, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(parallel, "_MINE", tmp_path / "mine")
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "groups").mkdir()
    return tmp_path


def test_cores_follow_affinity_and_quota(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = groups / "groups" / "cpu.max"
    assert files.available_cpus() == 8
    for text, want in [
        ("max 100000", 8), ("250000 100000\n", 2), ("50000 100000", 1), ("", 8), ("800000 0", 8),
        ("9900000 100000", 8),
    ]:  # fmt: skip
        limit.write_text(text)
        assert files.available_cpus() == want
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert files.available_cpus() == 1


@pytest.mark.parametrize(
    ("mine", "limits", "want"),
    [
        # version 2: a service's group, the quota on it or on its slice
        ("0::/system.slice/a.service", {"system.slice/a.service/cpu.max": "300000 100000"}, 3),
        (
            "0::/system.slice/a.service",
            {
                "system.slice/a.service/cpu.max": "max 100000",
                "system.slice/cpu.max": "200000 100000",
            },
            2,
        ),
        ("0::/other", {"system.slice/cpu.max": "200000 100000"}, 8),
        ("0::/../outside", {"outside/cpu.max": "200000 100000"}, 2),
        # version 1: as mounted by systemd, in a container that shows its own group as the root
        (
            "5:memory:/a\n4:cpu,cpuacct:/a\n0::/",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "450000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            "4:cpu:/docker/0123",
            {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
            2,
        ),
        (
            "4:cpu:/a",
            {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            8,
        ),
        ("4:cpuset:/a", {"cpu/a/cpu.cfs_quota_us": "1", "cpu/a/cpu.cfs_period_us": "1"}, 8),
        ("nonsense", {}, 8),
    ],
)
def test_cores_follow_the_groups_of_either_version(
    mine: str, limits: dict[str, str], want: int, groups: Path
) -> None:
    (groups / "mine").write_text(mine)
    for name, text in limits.items():
        path = groups / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert files.available_cpus() == want


class _Allocations(ctypes.Structure):
    """glibc's `struct mallinfo2`; `hblkhd` counts the bytes that stand in maps of their own."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks")),
        ("keepcost", ctypes.c_size_t),
    ]


def _mapped_anew(size: int) -> bool:
    """Whether the C library asks the system for a map of `size` bytes, not its kept memory."""
    info = ctypes.CDLL(None).mallinfo2
    info.restype = _Allocations
    before = info().hblkhd
    block = np.empty(size, np.uint8)
    return bool(info().hblkhd - before >= block.size)


def _large_blocks_mapped_anew() -> list[bool]:
    """Whether 64 MiB get a map of their own before, inside and after the block, and then 1 MiB."""
    before = _mapped_anew(64 << 20)
    with files.retain_freed_memory() as kept:
        inside = _mapped_anew(64 << 20)
    return [kept, before, inside, _mapped_anew(64 << 20), _mapped_anew(1 << 20)]


def test_freed_memory_is_kept_inside_the_block_only() -> None:
    if not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("this C library is not glibc 2.33 or later")
    # in a new process: holes that other tests left in this one's heap would serve any size
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        answer = pool.submit(_large_blocks_mapped_anew).result()
    # an image's worth is not mapped anew each time
    assert answer == [True, True, False, True, False]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_what_is_written_has_the_permissions_of_any_new_file(tmp_path: Path, umask: int) -> None:
    """Whatever wrote it: safetensors gives 0600, and a colleague could not open the model."""
    code = (
        "import os, sys, numpy as np; from pathlib import Path; from hilum import files\n"
        "from safetensors.numpy import save_file\n"
        f"os.umask({umask}); home = Path(sys.argv[1])\n"
        "with files.atomic_write(home / 'a.safetensors') as t: save_file({'a': np.zeros(3)}, t)\n"
        "with files.atomic_write(home / 'b.txt') as t: t.write_text('b')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("a.safetensors", "b.txt"), 0o666 & ~umask)
