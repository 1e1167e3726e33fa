"""What a decoding process makes of a film that a node has received."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread

from hilum import images
from hilum.dicom import source
from hilum.dicom.parts import parts_of, picture_side
from hilum.dicom.source import Source
from hilum.inference import answer
from hilum.inference.answer import PreparedImage
from hilum.node.rules import FilmRules
from hilum.serve.decoding import model_pipeline, was_shrunk
from hilum.types import HilumError


@dataclass(frozen=True, slots=True)
class Left:
    """A film that the rules do not take, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReadFilm:
    """A film decoded: what its results need, and what the network needs or why it has none."""

    source: Source
    prepared: PreparedImage | None
    reason: str = ""  # why it cannot be assessed


@dataclass(frozen=True, slots=True)
class Reading:
    """What a decoding process does with a film; it is sent there."""

    film: Path
    sender: str
    rules: FilmRules

    def __call__(self) -> ReadFilm | Left:
        """Raises HilumError for a film that can have no results."""
        data = self.film.read_bytes()
        dataset = accepted(self.film, data, self.sender, self.rules)
        if isinstance(dataset, Left):
            return dataset
        pipeline = model_pipeline()
        try:
            image = images.read(data, pipeline.decode_side, hashed=True)
        except HilumError as error:
            film = source.read_source(dataset, None, parts_of)
            return ReadFilm(film, None, answer.refusal(error))
        prepared = answer.from_image(image, data, pipeline)
        if was_shrunk(image):
            image = images.read(data, picture_side(pipeline.decode_side))
        return ReadFilm(source.read_source(dataset, image, parts_of), prepared)


def accepted(film: Path, data: bytes, sender: str, rules: FilmRules) -> Dataset | Left:
    """The whole data set of a film that the rules take.

    Raises HilumError for one that is damaged or has no patient.
    """
    try:
        dataset = dcmread(BytesIO(data))
    except Exception as error:  # noqa: BLE001 - whatever pydicom meets; its words may quote the film
        raise HilumError(
            f"expected a data set that can be read, got a damaged one ({type(error).__name__}); "
            "send it again"
        ) from None
    if reason := rules.against(film, dataset, sender):
        return Left(reason)
    if not dataset.get("PatientID"):
        raise HilumError(
            "a result goes into the study of its patient; got a film without Patient ID; give "
            "it one in the archive and send it again"
        )
    return dataset
