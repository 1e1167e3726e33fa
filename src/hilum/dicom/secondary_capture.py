"""The picture that every viewer shows: a colour Secondary Capture, everything in its pixels.

DICOM PS3.3, C.8.6, https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.8.6.html
"""

from highdicom.sc import SCImage
from pydicom import Dataset

from hilum.dicom.finish import finish
from hilum.dicom.identity import MANUFACTURER, NAME, Identity
from hilum.dicom.source import Source
from hilum.explain.render import Colour8

SERIES, DESCRIPTION = 9002, "hilum: picture (research only)"


def secondary_capture(source: Source, pixels: Colour8, identity: Identity) -> Dataset:
    """Colours (height, width, 3), red first, as a Secondary Capture of the film's study."""
    made = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=str(source.header.StudyInstanceUID),
        series_instance_uid=identity.uid("SC series", str(source.header.SeriesInstanceUID)),
        series_number=SERIES,
        sop_instance_uid=identity.uid("SC", source.instance),
        instance_number=source.number,
        manufacturer=MANUFACTURER,
        patient_orientation=("L", "F"),
    )
    made.copy_patient_and_study_information(source.header)
    for keyword in ("Laterality", "PatientOrientation"):
        made.add_new(keyword, "CS", None)  # two pictures and text: no direction of the patient
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.BurnedInAnnotation = "YES"
    made.ManufacturerModelName, made.SoftwareVersions = NAME, identity.version
    made.SourceImageSequence = [_reference(source)]
    return finish(made, source, identity, DESCRIPTION)


def _reference(source: Source) -> Dataset:
    referred = Dataset()
    referred.ReferencedSOPClassUID = source.header.SOPClassUID
    referred.ReferencedSOPInstanceUID = source.header.SOPInstanceUID
    return referred
