"""A tiny model, and complete CR, DX and CT films, that the tests of results share."""

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

import hilum
from hilum import phantom, preprocess
from hilum.inference import answer, model_folder, model_json
from hilum.inference import model as models
from hilum.inference.model import ModelMetadata
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise

CLASSES = ["covid19", "normal"]
JUDGED = {
    "verdict": "Do not trust this classifier yet: it is not reading the lungs.",
    "failed": ["C-01 (Lungs blacked out)"],
    "by": "run",
    "date": "2026-11-29",
}
SIDE, ROWS, COLUMNS = 64, 260, 240
ROOT = "1.2.826.0.1.3680043.8.498.77"
KINDS = {
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
    "CT": CTImageStorage,
}


@dataclass(frozen=True, slots=True)
class Film:
    """A source, as a data set, as a file's bytes, and what the model answers to it."""

    dataset: Dataset
    data: bytes
    prediction: hilum.Prediction


def save_model(folder: Path, abstains: bool = False) -> Path:
    """A network with random weights in a folder; every class stays possible where it abstains."""
    facts = ModelMetadata(CLASSES, "imagenet", "fp32", mirror=False, judged=JUDGED)
    if abstains:
        facts = replace(facts, conformal=dict.fromkeys(CLASSES, 1e-9))
    pipeline = preprocess.from_list([{"step": "resize", "side": SIDE}])
    films = [answer.prepare_array(pixels(kind), pipeline).pixels for kind in KINDS]
    network = backbones.build_backbone("test_efficientnet", "random")
    engine = models.compile_backbone(network, facts.normalise, pipeline, "fp32")
    features = engine(np.stack(films))
    weight = np.random.default_rng(1).normal(size=(2, features.shape[1])) / 9
    head = NumpyHead(Standardise.of(features), ((weight, np.zeros(2)),))
    model_folder.save_trained_model(models.compile_model(facts, pipeline, network, head), folder)
    return folder


def change(folder: Path, key: str, value: Any) -> None:
    """Another value of `model.json`, as hilum writes it."""
    model_json.amend(folder, {key: value})


def pixels(kind: str) -> npt.NDArray[np.uint8]:
    """(row, column) grey levels: a synthetic radiograph, or two dark ellipses in a bright one."""
    if kind != "CT":
        film = phantom.generate(phantom.Request(images=1, size=256, seed=3)).images[0]
        return np.asarray(cv2.resize(film, (COLUMNS, ROWS)), np.uint8)
    slice_ = np.full((ROWS, COLUMNS), 5, np.uint8)
    cv2.ellipse(slice_, (120, 130), (105, 90), 0, 0, 360, 180, -1)
    for x in (75, 165):
        cv2.ellipse(slice_, (x, 130), (32, 60), 0, 0, 360, 30, -1)
    return slice_


def film(kind: str, **changes: Any) -> Dataset:
    """A complete image of its kind; `changes` by keyword, None takes an element away."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = KINDS[kind]
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"{ROOT}.1"
    made.SpecificCharacterSet = "ISO_IR 100"
    made.PatientName, made.PatientID, made.PatientSex = "Müller^Änne", "P-001", "F"
    made.PatientBirthDate, made.PatientAge = "19600229", "066Y"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{ROOT}.2", f"{ROOT}.3"
    made.StudyDate, made.StudyTime, made.StudyID = "20260401", "101500", "17"
    made.ContentDate, made.ContentTime = "20260401", "101642"
    made.AccessionNumber, made.ReferringPhysicianName = "A-1", "Busch"
    made.Modality, made.InstanceNumber, made.ImageType = kind, 4, ["ORIGINAL", "PRIMARY"]
    made.Manufacturer = "Maker"
    stored = pixels(kind).astype(np.uint16) << 4
    made.Rows, made.Columns = stored.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = stored.tobytes()
    _place(made, kind)
    for keyword, value in changes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.2")
    return made


def _place(made: Dataset, kind: str) -> None:
    if kind == "CT":
        made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        made.FrameOfReferenceUID, made.PositionReferenceIndicator = f"{ROOT}.4", ""
        made.ImagePositionPatient, made.ImageOrientationPatient = (
            [-90, -90, 12.5],
            [1, 0, 0, 0, 1, 0],
        )
        made.PixelSpacing, made.SliceThickness = [0.75, 0.75], 5
        made.RescaleSlope, made.RescaleIntercept = 1, -1024
        return
    made.BodyPartExamined, made.ViewPosition = "CHEST", "PA"
    made.PatientOrientation, made.ImagerPixelSpacing = ["L", "F"], [0.7, 0.7]
    if kind == "DX":
        made.PresentationIntentType, made.PresentationLUTShape = "FOR PRESENTATION", "IDENTITY"
        view = Dataset()
        view.CodeValue, view.CodingSchemeDesignator = "399348003", "SCT"
        view.CodeMeaning = "antero-posterior"
        made.ViewCodeSequence = Sequence([view])


def as_file(dataset: Dataset) -> bytes:
    """A data set as a DICOM file."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
