"""E-25: minutes of films from C-STORE to C-STORE leave a node as it was after its warm-up.

HILUM_SOAK: minutes, 5 without it. The count is printed.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from dicom_peers import LOOPBACK, ArchivePeer, archive, film, send, settled
from node_command import start
from pydicom import uid
from small_model import save_small_model

import held
from held import Growth, Held

pytestmark = [
    pytest.mark.hard,
    pytest.mark.skipif(not held.PROC.is_dir(), reason="/proc tells what a process holds"),
]

MINUTES = float(os.environ.get("HILUM_SOAK", "5"))
PAUSE = 0.3  # seconds between two associations, of two films each


@dataclass
class Soaked:
    """What a node and its decoding processes held, and how many films it was sent."""

    seconds: list[float] = field(default_factory=list)
    family: list[Held] = field(default_factory=list)
    own: list[Held] = field(default_factory=list)
    sent: int = 0

    def soak(self, pid: int, port: int, peer: ArchivePeer) -> None:
        """Send films for so many minutes."""
        begun = time.monotonic()
        while time.monotonic() - begun < 60 * MINUTES:
            films = [film(number) for number in (self.sent, self.sent + 1)]
            films[1].compress(uid.RLELossless, generate_instance_uid=False)
            while send(port, films) != [0, 0]:  # the machine is busy
                time.sleep(1)
            self.sent += 2
            peer.datasets.clear()
            time.sleep(PAUSE)
            if self.sent % 8 == 0:
                self.seconds.append(time.monotonic() - begun)
                self.family.append(held.by_family(pid))
                self.own.append(held.of_processes([pid]))


def test_a_node_does_not_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, file, soaked = film(1), BytesIO(), Soaked()
    plain.save_as(file, enforce_file_format=True)
    save_small_model(tmp_path / "model", file.getvalue())
    with archive() as peer:
        words = ("--archive", f"ARCHIVE@{LOOPBACK}:{peer.port}", "--spool", tmp_path / "spool")
        process, record = start(tmp_path / "model", *words)
        try:
            soaked.soak(process.pid, int(str(record["port"])), peer)
            status = settled(tmp_path / "spool")
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=60)
    assert (said, process.returncode) == (("", ""), 0)
    growth, own = Growth.of(soaked.seconds, soaked.family), Growth.of(soaked.seconds, soaked.own)
    with capsys.disabled():
        sys.stderr.write(
            f"\nnode, {MINUTES:g} minutes, {soaked.sent} films answered: {growth}; without the "
            f"decoding processes: {own}, {soaked.own[-1].memory >> 20} MiB\n"
        )
    assert (status.films["sent"], status.failed) == (soaked.sent, [])
    assert growth.handles <= 0
    assert growth.threads <= 0
    assert growth.memory < 0.02
