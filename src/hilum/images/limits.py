"""How much one file may ask for, checked before anything is decoded."""

import stat
from pathlib import Path

from hilum.types import HilumError

MAX_BYTES = 256 * 2**20
# The largest radiograph detectors have 18 Mpx; Pillow's own alarm rings at 89 Mpx.
MAX_PIXELS = 80_000_000


def file_size(path: Path) -> int:
    """Bytes of the regular file at `path`; HilumError where it is absent, empty or too big."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise HilumError(
            "expected an image file, got a path where there is none; check it"
        ) from None
    except PermissionError:
        raise
    except (OSError, ValueError):  # a circle of links, a name too long or with a null byte
        raise HilumError(
            "expected an image file, got a path that leads nowhere; check it"
        ) from None
    if stat.S_ISDIR(status.st_mode):
        raise HilumError("expected an image file, got a folder; name the files in it")
    if not stat.S_ISREG(status.st_mode):
        raise HilumError("expected an image file, got a device, pipe or socket; copy it to a file")
    check_bytes(status.st_size)
    return status.st_size


def check_bytes(size: int) -> None:
    """Raise HilumError unless a file of `size` bytes may be read."""
    if size == 0:
        raise HilumError("expected an image, got an empty file of 0 bytes; copy it again")
    if size > MAX_BYTES:
        raise HilumError(
            f"expected a file of at most {MAX_BYTES:,} bytes, got {size:,}; "
            "save the image on its own"
        )


def check_pixels(width: int, height: int) -> None:
    """Raise HilumError unless an image of `width` x `height` pixels may be decoded."""
    if width < 1 or height < 1:
        raise HilumError(
            f"expected an image of at least 1 x 1 pixels, got {width} x {height}; export it again"
        )
    if width * height > MAX_PIXELS:
        raise HilumError(
            f"expected at most {MAX_PIXELS:,} pixels, got {width} x {height}; "
            "crop the image or make it smaller"
        )
