"""Orthanc as docs/hospital.md sets it up, on free ports, and `hilum node` beside it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from hilum.node.status import SpoolStatus, read_status

LOOPBACK, AET = "127.0.0.1", "ORTHANC"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "hospital.md"
# an active environment has pynetdicom's storescu, which is another program; Debian's Orthanc is a
# service
PLACES = os.pathsep.join(
    place
    for place in [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin"]
    if not Path(place, os.pardir, "pyvenv.cfg").is_file()
)
PROGRAMS = ("Orthanc", "storescu", "dcmsend", "dsrdump", "dciodvfy")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ENTRY = "from hilum.cli import main; main()"
PATIENCE = 600.0  # seconds for what takes one; a busy machine is no failure
STARTS = 5  # tries: another program may take a free port first


def program(name: str) -> str | None:
    """Where a program is, or None."""
    return shutil.which(name, path=PLACES)


def missing() -> str:
    """Why there can be no archive on this machine, or ""."""
    absent = [name for name in PROGRAMS if program(name) is None]
    absent += [] if PLUGIN.is_file() else [PLUGIN.name]
    return f"no archive on this machine: {', '.join(absent)} not installed" if absent else ""


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again, for a while."""
    late = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < late, f"{what}: not within {PATIENCE:g} s"
        time.sleep(0.05)


def run(*words: str | Path) -> str:
    """What another program prints; AssertionError where it fails."""
    done = subprocess.run(
        [program(str(words[0])) or words[0], *words[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def block(kind: str, holding: str) -> str:
    """The fenced block of the page that holds some words."""
    text = PAGE.read_text(encoding="utf-8")
    (found,) = [
        body
        for name, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
        if name == kind and holding in body
    ]
    return str(found)


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((LOOPBACK, 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass(frozen=True, slots=True)
class Orthanc:
    """An archive that runs."""

    http: int
    dicom: int

    @property
    def web(self) -> str:
        """The address of DICOMweb."""
        return f"http://{LOOPBACK}:{self.http}/dicom-web"

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Its own interface, as JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://{LOOPBACK}:{self.http}{path}", data, method=method)
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def know(self, port: int) -> None:
        """The node's port, which it took itself."""
        self.ask("/modalities/hilum", "PUT", ["HILUM", LOOPBACK, port])


@contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """The archive of the page's recipe."""
    settings = json.loads(block("json", "DicomWeb"))
    (folder / "send_on.lua").write_text(block("lua", "OnStoredInstance"))
    for _ in range(STARTS):
        http, dicom = free_ports(2)
        settings |= {"HttpPort": http, "DicomPort": dicom, "DicomScuTimeout": int(PATIENCE)}
        (folder / "orthanc.json").write_text(json.dumps(settings))
        with (folder / "orthanc.log").open("w") as log:
            process = subprocess.Popen(
                [program("Orthanc") or "Orthanc", "orthanc.json"],
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        try:
            archive = Orthanc(http, dicom)
            if _answers(archive, process):
                yield archive
                return
        finally:
            process.terminate()
            process.wait()
    raise AssertionError((folder / "orthanc.log").read_text())


def _answers(archive: Orthanc, process: "subprocess.Popen[bytes]") -> bool:
    """Whether it answers; False where it ended, such as for a port that is in use."""
    late = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < late:
        try:
            return bool(archive.ask("/system")["DicomAet"] == AET)
        except (URLError, OSError):
            time.sleep(0.05)
    return False


@contextmanager
def node(model: Path, spool: Path, *words: str) -> Iterator[dict[str, Any]]:
    """`hilum node` as a user starts it, and the record that it prints."""
    with subprocess.Popen(
        [sys.executable, "-c", ENTRY, "node", str(model), "--port", "0", "--json",
         "--spool", str(spool), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            text = ""
            while not text.endswith("}\n") and (line := process.stdout.readline()):
                text += line
            assert text, process.communicate()[1]
            yield json.loads(text)
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=PATIENCE)
    assert said == ("", ""), said
    assert process.returncode == 0


def settled(spool: Path, films: int) -> SpoolStatus:
    """The status when so many films have come and nothing moves any more."""

    def still() -> bool:
        found = read_status(spool).films
        return sum(found.values()) == films and not (
            found["received"] + found["working"] + found["done"]
        )

    def kept() -> bool:
        return not set(read_status(spool).commitments) & {"unasked", "asked"}

    wait_for(still, f"{films} films with their results in the archive")
    wait_for(kept, "the archive's word on the results")
    return read_status(spool)


def send(port: int, called: str, files: Sequence[Path], *words: str) -> None:
    """DCMTK's sender."""
    run("storescu", "-aec", called, *words, LOOPBACK, str(port), *files)


def post(url: str, film: bytes) -> Any:
    """The answer of a server to a film."""
    request = Request(url, film, {"Content-Type": "application/octet-stream"})  # noqa: S310
    with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
        return json.loads(answer.read())
