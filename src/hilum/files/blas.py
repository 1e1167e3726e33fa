"""The memory that linear algebra works in, taken while there is some.

OpenBLAS (0.3.30 in SciPy 1.17.1, 0.3.31 in NumPy 2.4.6) asks again without end for a buffer that it
cannot have: a command with too little memory would hold still in the middle of its work.
"""

import mmap

import numpy as np
import numpy.typing as npt

ROOM = 128 << 20  # bytes of addresses: more than a buffer takes
SIDE = 256  # a smaller product needs no buffer


def take_buffer_of_numpy() -> None:
    """Have NumPy's library take its buffer now, which it keeps; MemoryError where there is none."""
    square = _square()
    np.matmul(square, square)


def take_buffers() -> None:
    """The same, and SciPy's."""
    from scipy.linalg import blas

    take_buffer_of_numpy()
    square = _square()
    blas.dgemm(1.0, square, square)


def _square() -> npt.NDArray[np.float64]:
    try:
        mmap.mmap(-1, ROOM).close()
    except OSError:
        raise MemoryError from None
    return np.ones((SIDE, SIDE))
