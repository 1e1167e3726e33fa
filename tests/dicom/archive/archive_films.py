"""Films for the archive: three kinds, and one film in the transfer syntaxes that archives use."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from openjpeg.utils import encode_array
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate
from result_films import KINDS, as_file, film, pixels

from hilum.node.status import SpoolStatus


@dataclass(frozen=True, slots=True)
class Made:
    """How a film is made and sent."""

    kind: str
    syntax: uid.UID
    words: tuple[str, ...] = ("-R",)  # storescu's: propose what the film has


@dataclass(frozen=True, slots=True)
class Ward:
    """What came back: by the film's name, by the modality of the result."""

    films: dict[str, Dataset]
    results: dict[str, dict[str, Path]]
    status: SpoolStatus
    served: dict[str, Any]  # the answer of the same process over HTTP to the film DX


MADE = {
    **{name: Made(name, uid.ExplicitVRLittleEndian) for name in KINDS},
    "implicit": Made("DX", uid.ImplicitVRLittleEndian, ("-xi",)),
    "rle": Made("DX", uid.RLELossless, ("-xr",)),
    "jpegls": Made("DX", uid.JPEGLSLossless, ("-xt",)),
    "jpeg2000": Made("DX", uid.JPEG2000Lossless, ("-xv",)),
    "jpeg": Made("DX", uid.JPEGBaseline8Bit, ("-xy",)),
}
LOSSLESS = ("DX", "implicit", "rle", "jpegls", "jpeg2000")


def as_sent(name: str) -> bytes:
    """A film of its own instance and study, in its transfer syntax."""
    made = MADE[name]
    instance, study, series = (
        uid.generate_uid(entropy_srcs=["archive", name, part])
        for part in ("film", "study", "series")
    )
    one = film(
        made.kind, SOPInstanceUID=instance, StudyInstanceUID=study, SeriesInstanceUID=series,
        PatientID=f"P-{name}",
    )  # fmt: skip
    if made.syntax == uid.JPEGBaseline8Bit:
        _as_jpeg(one, made.kind)
    elif made.syntax == uid.JPEG2000Lossless:
        words = encode_array(
            one.pixel_array, bits_stored=one.BitsStored, photometric_interpretation=2
        )
        one.PixelData = encapsulate([words])
        one["PixelData"].VR = "OB"
        one.file_meta.TransferSyntaxUID = made.syntax
    elif made.syntax.is_compressed:
        one.compress(made.syntax, generate_instance_uid=False)
    else:
        one.file_meta.TransferSyntaxUID = made.syntax
    return as_file(one)


def _as_jpeg(one: Dataset, kind: str) -> None:
    """The film's eight upper bits as JPEG, which is lossy."""
    done, data = cv2.imencode(".jpg", pixels(kind), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    one.BitsAllocated = one.BitsStored = 8
    one.HighBit = 7
    one.PixelData = encapsulate([np.asarray(data).tobytes()])
    one["PixelData"].VR = "OB"
    one.LossyImageCompression, one.LossyImageCompressionRatio = "01", "10"
    one.LossyImageCompressionMethod = "ISO_10918_1"
    one.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
