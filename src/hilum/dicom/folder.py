"""Results of many films as files of one folder, and which films get none."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom

from hilum import files, images
from hilum.dicom.results import ResultMaker
from hilum.dicom.unquoted import unquoted
from hilum.inference.answer import Prediction
from hilum.inference.model import TrainedModel
from hilum.types import HilumError

NAMES = {"SR": "report", "OT": "picture", "SEG": "lungs"}  # by modality, in files' names
LONGEST = 100  # letters of a film's name that are kept
IDENTITY = ("PatientID", "IssuerOfPatientID", "StudyInstanceUID")
DAMAGE = (OSError, ValueError, AttributeError, KeyError, NotImplementedError)


@dataclass(slots=True)
class ResultFolder:
    """Writes `<film>-report.dcm`, `-picture.dcm` and `-lungs.dcm`, film by film."""

    out: Path
    maker: ResultMaker
    doubtful: set[str]  # studies that name more than one patient
    taken: set[str] = field(default_factory=set)  # names of films that have files, in lower case

    @classmethod
    def of(
        cls, out: Path, model_folder: Path, model: TrainedModel, listed: Sequence[Path]
    ) -> "ResultFolder":
        """Ready to write; HilumError where a film is no DICOM file, or lies in the folder."""
        _require_dicom(listed)
        if any(path.resolve().parent == out.resolve() for path in listed):
            raise HilumError(
                "results as DICOM need a folder separate from the images; got "
                f"{str(out)!r}, which contains some of them; choose another."
            )
        files.ensure_writable_folder(out)
        return cls(out, ResultMaker.of(model_folder, model), _doubtful_studies(listed))

    @unquoted()
    def write(self, path: Path, prediction: Prediction) -> str:
        """Write a film's results; why there are none, or ""."""
        try:
            dataset = read_film(path)
            self._require_one_patient(dataset)
            made = self.maker.objects(dataset, replace(prediction, path=str(path)))
        except HilumError as error:
            return f"no results as DICOM: {error}"
        name = self._name(path.stem[:LONGEST])
        for each in made:
            with files.atomic_write(self.out / f"{name}-{NAMES[each.Modality]}.dcm") as temporary:
                each.save_as(temporary, enforce_file_format=True)
        return ""

    def _require_one_patient(self, dataset: Dataset) -> None:
        if str(dataset.get("StudyInstanceUID")) in self.doubtful:
            raise HilumError(
                "results are written where patient and study agree; got a study whose images name "
                "several patients; correct it in the archive."
            )

    def _name(self, stem: str) -> str:
        """Films of several folders may have one name."""
        endings = ("" if n == 1 else f"-{n}" for n in itertools.count(1))
        name = next(stem + end for end in endings if (stem + end).lower() not in self.taken)
        self.taken.add(name.lower())
        return name


def read_film(content: Path | bytes) -> Dataset:
    """A film as pydicom reads it; HilumError where it is no DICOM file or damaged."""
    source = BytesIO(content) if isinstance(content, bytes) else content
    try:
        return pydicom.dcmread(source)
    except InvalidDicomError:
        raise HilumError(_no_dicom(content)) from None
    except DAMAGE as error:
        raise HilumError(
            f"a DICOM file must be readable; got {type(error).__name__}; copy it again."
        ) from None


def _no_dicom(content: Path | bytes) -> str:
    named = "bytes of another format" if isinstance(content, bytes) else images.printable(content)
    return (
        "results as DICOM refer to a film in the archive, so that they need DICOM files; "
        f"got {named!r}; leave it out, or predict without results as DICOM."
    )


def _require_dicom(listed: Sequence[Path]) -> None:
    others = [path for path in listed if not is_dicom(path)]
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        raise HilumError(
            "results as DICOM refer to films in the archive, so that all images must be DICOM "
            f"files; got {images.printable(others[0])!r}{more}; name DICOM files only, or leave "
            "--dicom out."
        )


@unquoted()
def _doubtful_studies(listed: Sequence[Path]) -> set[str]:
    """Studies whose films name more than one patient."""
    patients: dict[str, set[tuple[str, str]]] = {}
    for path in listed:
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*IDENTITY])
        except (InvalidDicomError, *DAMAGE):
            continue  # the reader says why, film by film
        patient, issuer, study = (str(header.get(name) or "").strip() for name in IDENTITY)
        patients.setdefault(study, set()).add((patient, issuer))
    return {study for study, known in patients.items() if study and len(known) > 1}
