"""What all results have in common, whatever library made them."""

from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from hilum.dicom.codes import SCHEME, SCHEME_NAME
from hilum.dicom.header import UTF_8
from hilum.dicom.identity import MANUFACTURER, Identity
from hilum.dicom.source import Source


def finish(made: Dataset, source: Source, identity: Identity, description: str) -> Dataset:
    """Dates of the film, equipment, coding scheme, characters; nothing of the clock stays."""
    date, time = source.taken
    made.SpecificCharacterSet = UTF_8
    for name in ("InstanceCreation", "Content", "OfSecondaryCapture"):
        first, second = (
            ("DateOfSecondaryCapture", "TimeOfSecondaryCapture")
            if name.startswith("Of")
            else (f"{name}Date", f"{name}Time")
        )
        if first in made:
            setattr(made, first, date)
            setattr(made, second, time)
    for name, value in source.names.items():
        setattr(made, name, value)
    made.InstanceCreatorUID = identity.device_uid
    made.Manufacturer, made.SeriesDescription = MANUFACTURER, description
    made.ContributingEquipmentSequence = Sequence([identity.equipment()])
    made.CodingSchemeIdentificationSequence = Sequence([_scheme()])
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.preamble = b"\0" * 128  # without it an archive may store a file that nobody can read
    return made


def _scheme() -> Dataset:
    scheme = Dataset()
    scheme.CodingSchemeDesignator = SCHEME
    scheme.CodingSchemeName = SCHEME_NAME
    scheme.CodingSchemeResponsibleOrganization = MANUFACTURER
    return scheme
