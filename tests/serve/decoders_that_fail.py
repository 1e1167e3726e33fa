"""Stand-ins for the decoder, by what a film may do to it; imported by the decoding process."""

import os
import signal
import time

import numpy as np

from hilum.serve.decoding import DecodedFilm, decode


def misbehave(data: bytes, pictures: bool) -> DecodedFilm:
    """What the first word of a film's bytes says."""
    word = data[:8]
    if word == b"exit....":
        os._exit(7)
    if word == b"segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == b"sleep...":
        time.sleep(600)
    if word == b"compute.":
        sum(range(10**12))  # one call that no signal handler of Python interrupts
    if word == b"allocate":
        np.ones(2**32, np.uint8)  # 4 GiB
    if word == b"assert..":
        raise AssertionError("P-001, Jane Doe")
    return decode(data, pictures)
