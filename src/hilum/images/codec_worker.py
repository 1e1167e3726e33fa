"""Decodes frames with GDCM, CharLS and OpenJPEG in a process of its own, which damage may end.

Run as a script, with nothing of hilum imported, until standard input ends. A request is a line of
JSON and the compressed frame; an answer is a line of JSON and the pixels, or an error by its type.
"""

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeAlias

MEMORY = 2 << 30  # bytes beyond what the process holds: 80 million pixels, copied a few times
STATUS = Path("/proc/self/statm")  # Linux alone: elsewhere there are no bounds here
Decoded: TypeAlias = tuple[dict[str, Any], bytes | bytearray]  # facts, little-endian pixels


def gdcm_frame(layout: dict[str, Any], frame: bytes) -> Decoded:
    """No facts, and the pixels of a JPEG `frame`; ValueError where GDCM finds none."""
    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout["columns"], layout["rows"], 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(layout["photometric"])
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if layout["samples"] > 1:
        image.SetPlanarConfiguration(int(layout["planar"]))
    syntax = gdcm.TransferSyntax.GetTSType(layout["syntax"])
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits = layout["bits_stored"]
    form = (layout["samples"], layout["bits_allocated"], bits, bits - 1, int(layout["signed"]))
    image.SetPixelFormat(gdcm.PixelFormat(*form))
    text = image.GetBuffer()  # GDCM hands bytes out as text with surrogates, or None on failure
    if text is None:
        raise ValueError(f"expected pixels, got none from {len(frame)} bytes")
    return {}, text.encode("utf-8", "surrogateescape")


def jpeg_ls_frame(_layout: dict[str, Any], frame: bytes) -> Decoded:
    """Pixels of a JPEG-LS `frame`; `interleave_mode` 0 is by plane."""
    import jpeg_ls  # type: ignore[import-untyped]

    pixels, stream = jpeg_ls.decode_pixel_data(frame)
    return {key: stream[key] for key in ("interleave_mode", "allowed_lossy_error")}, pixels


def jpeg_2000_frame(layout: dict[str, Any], frame: bytes) -> Decoded:
    """Pixels of a JPEG 2000 `frame` and `dtype`; none where its `size` is not the layout's."""
    from openjpeg.utils import decode, get_parameters

    said = get_parameters(frame)
    size = [int(said[key]) for key in ("rows", "columns", "samples_per_pixel")]
    facts: dict[str, Any] = {"size": size, "precision": int(said["precision"])}
    if size != [layout["rows"], layout["columns"], layout["samples"]]:
        return facts, b""
    pixels = decode(frame)
    stored = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return facts | {"dtype": stored.dtype.str}, stored.tobytes()


CODECS: dict[str, Callable[[dict[str, Any], bytes], Decoded]] = {
    "GDCM": gdcm_frame,
    "JPEG-LS": jpeg_ls_frame,
    "JPEG 2000": jpeg_2000_frame,
}


def bound_memory() -> None:
    """Let an allocation fail beyond MEMORY, or beyond the limit of the parent process."""
    if STATUS.is_file():
        import resource  # Unix only

        held = int(STATUS.read_text().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_least(held + MEMORY, soft, hard), hard))


def bound_processor(seconds: float) -> None:
    """Let the system end this process by SIGXCPU after so many seconds of computing from now."""
    if STATUS.is_file():
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        wanted = math.ceil(time.process_time() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (_least(wanted, hard), hard))


def _least(wanted: int, *limits: int) -> int:
    import resource

    return min([wanted, *(limit for limit in limits if limit != resource.RLIM_INFINITY)])


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer one request after the other."""
    while line := requests.readline():
        request = json.loads(line)
        frame = requests.read(request["bytes"])
        bound_processor(request["seconds"])
        facts, pixels = _answer(request, frame)
        answers.write(json.dumps({**facts, "bytes": len(pixels)}).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


def _answer(request: dict[str, Any], frame: bytes) -> Decoded:
    try:
        return CODECS[request["codec"]](request["layout"], frame)
    except Exception as error:  # noqa: BLE001 - by type only: its words may quote the file
        return {"error": type(error).__name__}, b""


def main() -> None:
    """Answer requests on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints of libraries stay out of the answers
    bound_memory()
    serve(sys.stdin.buffer, out)


if __name__ == "__main__":
    main()
