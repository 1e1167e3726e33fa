"""E-25: minutes of films from C-STORE to C-STORE leave a node as it was after its warm-up.

HILUM_SOAK: minutes, 5 without it. The count is printed.
"""

import os
import signal
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest
from dicom_peers import LOOPBACK, archive, film, send, settled
from node_command import start
from pydicom import uid
from small_model import save_small_model

import held
from held import Growth

pytestmark = [
    pytest.mark.hard,
    pytest.mark.skipif(not held.PROC.is_dir(), reason="/proc tells what a process holds"),
]

MINUTES = float(os.environ.get("HILUM_SOAK", "5"))
PAUSE = 0.3  # seconds between two associations, of two films each


def test_a_node_does_not_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, file = film(1), BytesIO()
    plain.save_as(file, enforce_file_format=True)
    save_small_model(tmp_path / "model", file.getvalue())
    begun, seconds, series, own, sent = time.monotonic(), [], [], [], 0
    with archive() as peer:
        words = ("--archive", f"ARCHIVE@{LOOPBACK}:{peer.port}", "--spool", tmp_path / "spool")
        process, record = start(tmp_path / "model", *words)
        while time.monotonic() - begun < 60 * MINUTES:
            films = [film(number) for number in (sent, sent + 1)]
            films[1].compress(uid.RLELossless, generate_instance_uid=False)
            assert send(int(str(record["port"])), films) == [0, 0]
            sent += 2
            peer.datasets.clear()
            time.sleep(PAUSE)
            if sent % 8 == 0:
                seconds.append(time.monotonic() - begun)
                series.append(held.by_family(process.pid))
                own.append(held.of_processes([process.pid]))
        status = settled(tmp_path / "spool")
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
    growth = Growth.of(seconds, series)
    with capsys.disabled():
        sys.stderr.write(
            f"\nnode, {MINUTES:g} minutes, {sent} films answered: {growth}; without the decoding "
            f"processes: {Growth.of(seconds, own)}, {own[-1].memory >> 20} MiB\n"
        )
    assert (status.films["sent"], status.failed) == (sent, [])
    assert growth.handles <= 0
    assert growth.threads <= 0
    assert growth.memory < 0.02
