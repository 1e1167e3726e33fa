"""Decode and prepare: 2000 x 2000 JPEG and 12-bit DICOM to 224 x 224, on one core.

    python benchmarks/decode.py [--quick] [--data FOLDER_OF_JPEGS]

Peers: Pillow with torchvision's transforms, and scikit-image as torchxrayvision's documentation
shows it. The limit is the JPEG codec's own scaled decode of the same bytes, without anything else.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import simplejpeg
import torch
from PIL import Image
from pydicom.pixels import apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from hilum import images, phantom, preprocess
from hilum.models import torchvision_compat
from hilum.types import Grey8
from side_by_side import Row, Size, absent, asked, films, finish, in_turn, peer, workplace

SIDE, FILM = 224, 2000
Reads = Callable[[str], npt.NDArray[Any]]


def hilum() -> Reads:
    """File -> (224, 224) uint8."""
    pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    return lambda path: pipeline(images.read(path, pipeline.decode_side).pixels)


def pillow() -> Reads:
    """What a torchvision tutorial writes: (224, 224) grey levels of the prepared tensor."""
    torchvision_compat.timm()
    from torchvision import transforms

    change = transforms.Compose([transforms.Resize((SIDE, SIDE)), transforms.ToTensor()])

    def read(path: str) -> npt.NDArray[Any]:
        film = Image.fromarray(dicom(path)) if path.endswith(".dcm") else Image.open(path)
        return np.asarray(change(film.convert("RGB"))[0] * 255)

    return read


def torchxrayvision(package: Any) -> Reads:
    """The loop of torchxrayvision's documentation: scikit-image, normalize, XRayResizer."""
    import skimage.io
    from torchvision import transforms

    change = transforms.Compose(
        [package.datasets.XRayCenterCrop(), package.datasets.XRayResizer(SIDE)]
    )

    def read(path: str) -> npt.NDArray[Any]:
        film = dicom(path) if path.endswith(".dcm") else skimage.io.imread(path)
        film = package.datasets.normalize(film, 255)
        film = film.mean(2)[None] if film.ndim == 3 else film[None]
        return np.asarray((change(film)[0] + 1024) / 2048 * 255)

    return read


def dicom(path: str) -> Grey8:
    """pydicom's pixels through the window of the file, as eight bits."""
    data = pydicom.dcmread(path)
    shown = apply_voi_lut(data.pixel_array, data).astype(np.float32)
    return (shown / (2**data.BitsStored - 1) * 255).round().astype(np.uint8)


def codec(path: str) -> npt.NDArray[Any]:
    """The JPEG at the smallest scale that is large enough, grey: the codec alone."""
    data = Path(path).read_bytes()
    return simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, min_height=SIDE, min_width=SIDE)


def write(size: Size, folder: Path) -> tuple[list[str], list[str]]:
    """Paths of JPEG and of DICOM files."""
    count = size.pick(1, 4, 8)
    if size.data is not None:
        paths = films(size, 10_000, FILM, folder)["path"]
        return [p for p in paths if p.lower().endswith((".jpg", ".jpeg"))][:50], []
    drawn = phantom.generate(phantom.Request(images=count, size=FILM, seed=1)).images
    jpegs, dicoms = [], []
    for number, film in enumerate(drawn):
        jpegs.append(str(folder / f"{number}.jpg"))
        Image.fromarray(film).save(jpegs[-1], quality=92)
        dicoms.append(str(folder / f"{number}.dcm"))
        _dicom(film, Path(dicoms[-1]))
    return jpegs, dicoms


def _dicom(film: Grey8, path: Path) -> None:
    deep = film.astype(np.uint16) * 16 + np.random.default_rng(0).integers(0, 16, film.shape)
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    data.Modality, data.PhotometricInterpretation = "DX", "MONOCHROME2"
    data.Rows, data.Columns = film.shape
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.WindowCenter, data.WindowWidth = 2048, 4096
    data.PixelData = deep.astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)


def measure(kind: str, paths: list[str], size: Size) -> list[Row]:
    """Films per second of all rivals on the same files, one after another."""
    package = peer("torchxrayvision")
    readers = {"hilum": hilum(), "Pillow + torchvision": pillow()}
    if package is not None:
        readers["scikit-image (torchxrayvision)"] = torchxrayvision(package)
    shown = {name: [read(path).astype(float) for path in paths] for name, read in readers.items()}
    if kind == "JPEG":
        readers["codec's scaled decode alone (limit)"] = codec
    rivals = {name: _all(read, paths) for name, read in readers.items()}
    spent = in_turn(rivals, size.pick(3, 7))
    rows = []
    for name, seconds in spent.items():
        told = [
            abs(a - b).mean() for a, b in zip(shown["hilum"], shown.get(name, []), strict=False)
        ]
        limit = "limit" in name
        rows.append(
            Row(
                "decode",
                f"{kind}, {len(paths)} films, one core",
                name,
                len(paths) / seconds,
                "films/s",
                None if name == "hilum" else seconds / spent["hilum"],
                ">= 0.87 x" if limit else "" if name == "hilum" else ">= 4 x",
                f"mean difference {np.mean(told):.1f} grey levels"
                if told and name != "hilum"
                else "",
            )
        )
    if package is None:
        rows.append(absent("decode", kind, "scikit-image (torchxrayvision)"))
    return rows


def _all(read: Reads, paths: list[str]) -> Callable[[], None]:
    def run() -> None:
        for path in paths:
            read(path)

    return run


def main() -> None:
    """Print and store the table."""
    size = asked(__doc__, "decode")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with workplace() as folder:
        jpegs, dicoms = write(size, folder)
        rows = measure("JPEG", jpegs, size)
        rows += measure("12-bit DICOM", dicoms, size) if dicoms else []
    finish(rows, size.out)


if __name__ == "__main__":
    main()
