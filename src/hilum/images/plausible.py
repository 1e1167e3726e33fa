"""Whether a compressed image has as much data as its header promises, before anything is decoded.

A header of a few bytes can promise a picture that takes gigabytes and minutes, and decoders fill
what is missing with grey. Each bound is what the format can do at most; real films are far from it.
What a JPEG must hold: ITU-T T.81, https://www.w3.org/Graphics/JPEG/itu-t81.pdf
"""

from hilum.images.limits import MAX_PIXELS
from hilum.types import HilumError

# A Huffman code has at least one bit: a block of 8 x 8 needs one for its first coefficient, and one
# more, "end of block", where it is not progressive (ITU-T T.81, F.1.2). Lossless: one for a sample.
BLOCK_BITS = {0xC0: 2, 0xC1: 2, 0xC2: 1}  # by SOF marker
SAMPLE_BITS = {0xC3: 1}
DEFLATE = 1032  # bytes out of one: two bits for a match of 258 bytes (RFC 1951, 3.2.5)
# JPEG-LS and JPEG 2000 say "all the same" in a few bits: a limit by experience, not by their codes.
BLANK = 5000  # pixels of one byte; a film of lungs has fewer than 50, a drawing of lines 1,000
LARGE = 1_000_000  # pixels up to which any header may be believed
MOST_SCANS = 500  # of one file; progressive files have about ten
MOST_WORK = 12 * MAX_PIXELS  # scans times pixels: each scan goes through the whole picture


def check_jpeg(marker: int, width: int, height: int, size: int) -> None:
    """HilumError for less data than a JPEG of this frame `marker` (SOF) can have."""
    blocks = -(-width // 8) * -(-height // 8)
    bits = BLOCK_BITS.get(marker, 0) * blocks + SAMPLE_BITS.get(marker, 0) * width * height
    if 8 * size < bits:
        raise _too_little(width, height, f"{bits // 8:,} bytes", size)


def check_scans(scans: int, width: int, height: int) -> None:
    """HilumError for a JPEG whose scans would keep a decoder busy for minutes."""
    if scans > MOST_SCANS or scans * width * height > MOST_WORK:
        raise HilumError(
            f"expected a JPEG of {width} x {height} pixels in about ten scans, got {scans:,}; "
            "export the image again"
        )


def check_blank(width: int, height: int, size: int) -> None:
    """HilumError for a large JPEG-LS or JPEG 2000 picture with next to no data."""
    if width * height > max(LARGE, BLANK * size):
        raise _too_little(width, height, f"a byte for {BLANK:,} pixels", size)


def check_deflated(width: int, height: int, bits: int, size: int) -> None:
    """HilumError where `size` deflated bytes cannot hold pixels of `bits` each."""
    raw = height * -(-width * bits // 8)
    if raw > DEFLATE * size:
        raise _too_little(width, height, f"{-(-raw // DEFLATE):,} bytes", size)


def _too_little(width: int, height: int, least: str, size: int) -> HilumError:
    return HilumError(
        f"expected at least {least} for {width} x {height} pixels, got {size:,} bytes: the header "
        "is wrong or the data are cut; copy or export the file again"
    )
