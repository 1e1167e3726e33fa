#!/usr/bin/env bash
# pynetdicom stores each small object 40 ms later than it could: its messages are held back by TCP.
#
# Expected: an object of 100 bytes is stored on the same machine in a few milliseconds.
# Seen, pynetdicom 3.0.4 on Linux: 45 to 50 ms for each. A C-STORE request is written in two parts, its command and its data set. The
# second part waits until the first is acknowledged (Nagle's algorithm, RFC 896), and the acknowledgement waits up to 40 ms for something
# to go with (RFC 1122, 4.2.3.2). TCP_NODELAY, which a handler of EVT_CONN_OPEN can set, ends it. The other way round an archive that
# writes its answer in two parts (Debian's Orthanc 1.10.1 does) waits for the sender's acknowledgement: there TCP_QUICKACK helps.
# hilum sets both where it sends results; tests/node/test_node_sending.py.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check pynetdicom==3.0.4 pydicom==3.0.2
"$home/venv/bin/python" - <<'PYTHON'
import socket
import statistics
import sys
import time

import pydicom
import pynetdicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE, evt

OBJECTS = 30


def small():
    """An object of about 100 bytes."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    made.PatientID = "1"
    return made


def at_once(event):
    """What is written leaves at once."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def milliseconds(port, handlers):
    """Median time of one object, all of them in one association."""
    entity = AE()
    entity.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, evt_handlers=handlers)
    spent = []
    for _ in range(OBJECTS):
        one, start = small(), time.perf_counter()
        assert association.send_c_store(one).Status == 0
        spent.append(1e3 * (time.perf_counter() - start))
    association.release()
    return statistics.median(spent)


archive = AE()
archive.add_supported_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
server = archive.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: 0)])
port = server.socket.getsockname()[1]
plain, prompt = milliseconds(port, []), milliseconds(port, [(evt.EVT_CONN_OPEN, at_once)])
server.shutdown()
print(f"Python {sys.version.split()[0]}, pynetdicom {pynetdicom.__version__}, pydicom {pydicom.__version__}")
print(f"one object: {plain:.1f} ms as it is, {prompt:.1f} ms with TCP_NODELAY")
sys.exit(0 if plain - prompt > 20 else 1)
PYTHON
