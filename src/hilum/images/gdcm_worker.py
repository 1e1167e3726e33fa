"""Decodes one JPEG frame with GDCM in a process of its own: damaged files can abort GDCM.

Run as a script, with nothing of hilum imported: a line of JSON, then the frame, on standard input;
pixels on standard output; any exit code but 0 means that the frame cannot be decoded.
"""

import json
import sys
from typing import Any

import gdcm


def decode_frame(layout: dict[str, Any], frame: bytes) -> bytes:
    """Raw little-endian pixels of `frame`; ValueError where GDCM finds none."""
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
    return bytes(text.encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    header = json.loads(sys.stdin.buffer.readline())
    sys.stdout.buffer.write(decode_frame(header, sys.stdin.buffer.read()))
