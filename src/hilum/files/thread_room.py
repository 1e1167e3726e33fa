"""Room for the threads of a library, looked for before it starts them.

OpenVINO (2026.4) waits for ever where it can start the first of its threads and not all of them.
"""

import _thread
import mmap
from threading import Event, Semaphore

ROOM = 64 << 20  # bytes of addresses that stay for what the library takes in between
USED = 4096  # bytes that a thread takes: the C library then gives it a region of its own
PATIENCE = 1.0  # seconds for a thread to end: without memory it may have ended without a word


def require_threads(count: int) -> None:
    """Start so many threads and end them again.

    Raises MemoryError or RuntimeError where the system does not give them or their memory.
    """
    over, ended, started = Event(), Semaphore(0), 0

    def wait() -> None:
        try:
            bytearray(USED)
            over.wait()
        finally:
            ended.release()

    try:
        kept = mmap.mmap(-1, ROOM)
    except OSError:
        raise MemoryError from None
    try:
        for _ in range(count):
            _thread.start_new_thread(wait, ())  # `Thread.start` would wait for its first word
            started += 1
    finally:
        over.set()
        for _ in range(started):
            ended.acquire(timeout=PATIENCE)
        kept.close()
