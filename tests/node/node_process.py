"""A node as a process of its own, to be killed: python node_process.py SPOOL ARCHIVE_PORT."""

import sys
import threading
from pathlib import Path

from dicom_peers import node

if __name__ == "__main__":
    with node(Path(sys.argv[1]), int(sys.argv[2])) as started:
        print(started.port, flush=True)  # noqa: T201
        threading.Event().wait()
