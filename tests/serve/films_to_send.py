"""Films of every format as bytes, a tiny model, and requests: what the server's tests share."""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from hilum import preprocess
from hilum.inference import answer, model_folder
from hilum.inference import model as models
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise

SIDE = 224  # of the network
CLASSES = ["covid19", "normal"]
JUDGED = {
    "verdict": "Do not trust this classifier yet: it is not reading the lungs.",
    "failed": ["C-01 (Lungs blacked out)"],
    "by": "run",
    "date": "2026-11-29",
}


def grey(seed: int = 0, height: int = 300, width: int = 260) -> npt.NDArray[np.uint8]:
    """(height, width) of waves and noise: no two seeds look alike."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).normal(0, 5, (height, width))
    return np.clip(90 + 50 * np.sin(x / (9 + 4 * seed)) + y / 5 + noise, 0, 255).astype(np.uint8)


def encoded(suffix: str, pixels: npt.NDArray[Any]) -> bytes:
    """(height, width) as a file of OpenCV's."""
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return bytes(data)


def dicom(pixels: npt.NDArray[Any], tags: Mapping[str, Any] | None = None) -> bytes:
    """(height, width) of whole numbers as a digital radiograph; `tags` by keyword."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[pixels.tobytes().hex()[:64]])
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality, dataset.PatientID = "DX", "P-001"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    for keyword, value in (tags or {}).items():
        setattr(dataset, keyword, value)
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def formats() -> dict[str, bytes]:
    """A film of every format that is read, by file name."""
    deep = (grey(2).astype(np.uint16) * 16) + 7
    return {
        "eight.png": encoded(".png", grey(0)),
        "sixteen.png": encoded(".png", grey(1).astype(np.uint16) * 256),
        "film.jpg": encoded(".jpg", grey(3, 900, 800)),
        "film.tif": encoded(".tif", grey(4)),
        "eight.dcm": dicom(grey(5)),
        "sixteen.dcm": dicom(deep, {"BitsStored": 12, "HighBit": 11}),
        "window.dcm": dicom(deep, {"WindowCenter": 1500, "WindowWidth": 1200}),
    }


def bombs() -> dict[str, bytes]:
    """Files that would cost much more than they hold, by file name."""
    whole = dicom(grey())
    start = 144 + int.from_bytes(whole[140:144], "little")  # behind the file meta group
    opened = b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    wide = bytearray(encoded(".png", grey(0, 8, 8)))
    wide[16:24] = (100_000).to_bytes(4, "big") * 2  # pixels that the header alone promises
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("film.dcm", bytes(50 * 2**20))
    return {
        "nested.dcm": whole[:start] + 100_000 * opened + whole[start:],
        "wide.png": bytes(wide),
        "zipped.png": archive.getvalue(),
    }


def tiny_model(folder: Path, seen: tuple[str, ...] = ()) -> TrainedModel:
    """A network with random weights that abstains from half of `formats`, saved in `folder`."""
    facts = ModelMetadata(
        CLASSES, "imagenet", "fp32", mirror=True, temperature=20.0, seen=seen, judged=JUDGED,
        thresholds={"covid19": 0.31, "normal": 0.62},
    )  # fmt: skip
    pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    films = [answer.prepare_file(data, pipeline) for data in formats().values()]
    network = backbones.build_backbone("test_efficientnet", "random")
    engine = models.compile_backbone(network, facts.normalise, pipeline, "fp32")
    features = engine(np.stack([film.pixels for film in films]))
    weight = np.random.default_rng(1).normal(size=(2, features.shape[1]))
    head = NumpyHead(Standardise.of(features), ((weight, np.zeros(2)),))
    model = models.compile_model(facts, pipeline, network, head)
    second = np.median(answer.answer(model, films)[0].min(1))  # p of the less probable class
    facts = replace(facts, conformal=dict.fromkeys(CLASSES, float(second)))
    model = replace(model, facts=facts)
    model_folder.save_trained_model(model, folder)
    return model


def multipart(films: Mapping[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    """Films as the client's library takes files."""
    return [("films", (name, data)) for name, data in films.items()]
