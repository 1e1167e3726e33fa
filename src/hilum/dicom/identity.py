"""Who made a result: unique identifiers that follow from film and model, and the equipment.

The same film and model give the same identifiers, so that a result that is sent twice is stored
once. An identifier is "2.25." and a UUID as a number (DICOM PS3.5 B.2).
https://dicom.nema.org/medical/dicom/current/output/chtml/part05/sect_B.2.html
"""

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from pydicom import Dataset

from hilum import __version__
from hilum.dicom import codes
from hilum.dicom.coded import item

MANUFACTURER, NAME = "The hilum project", "hilum"
SHOWN = 12  # digits of the digest that a person reads


@dataclass(frozen=True, slots=True)
class Identity:
    """What the results of one model have in common."""

    digest: str  # of weights, preparation and calibration, see `inference.digest`
    verdict: str  # of the audits on the model

    @property
    def version(self) -> str:
        """Version of hilum and the start of the model's digest."""
        return f"{__version__} {self.digest[:SHOWN]}"

    @property
    def device_uid(self) -> str:
        """Another one as soon as weights, preparation or calibration change."""
        return uid("device", self.digest)

    def uid(self, *parts: str) -> str:
        """The identifier of something about a film, for this model with this verdict."""
        return uid(__version__, self.digest, self.verdict, *parts)

    def equipment(self) -> Dataset:
        """The item of Contributing Equipment Sequence that IHE AI Results asks for."""
        made = Dataset()
        made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, NAME
        made.SoftwareVersions = [__version__, self.digest]
        made.DeviceUID = self.device_uid
        made.ContributionDescription = "Classified the image. Research use only."
        made.PurposeOfReferenceCodeSequence = [item(codes.PROCESSING_ALGORITHM)]
        return made


def uid(*parts: str) -> str:
    """The identifier that belongs to these words; other words have another one."""
    text = "\0".join(("hilum", *parts))
    return f"2.25.{UUID(bytes=sha256(text.encode()).digest()[:16], version=5).int}"
