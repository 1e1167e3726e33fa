"""The lungs of a film as a binary Segmentation of its own rows and columns.

DICOM PS3.3, C.8.20, https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.8.20.html
"""

import cv2
import numpy as np
from highdicom import AlgorithmIdentificationSequence, seg
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard

from hilum import __version__
from hilum.dicom.finish import finish
from hilum.dicom.identity import MANUFACTURER, NAME, Identity
from hilum.dicom.parts import lung_finder
from hilum.dicom.source import Source
from hilum.preprocess.lungs import masks
from hilum.types import Mask

SERIES, DESCRIPTION = 9003, "hilum: lungs (research only)"


def segmentation(source: Source, mask: Mask, identity: Identity) -> Dataset:
    """A mask (row, column) as a Segmentation: one frame, paired with the film by its place."""
    size = int(source.header.Columns), int(source.header.Rows)
    whole = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    made = seg.Segmentation(
        source_images=[source.header],
        pixel_array=whole[None],
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_lungs(source, identity)],
        series_instance_uid=identity.uid("SEG series", str(source.header.SeriesInstanceUID)),
        series_number=SERIES,
        sop_instance_uid=identity.uid("SEG", source.instance),
        instance_number=source.number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=NAME,
        software_versions=identity.version,
        device_serial_number=identity.digest,
        content_description="Lungs, found automatically. Research use only.",
        content_label="LUNGS",
    )
    if "FrameOfReferenceUID" not in made:
        made.PatientOrientation = source.header.get("PatientOrientation")  # rows are the film's own
    _own_dimension(made, identity.uid("dimension", source.instance))
    return finish(made, source, identity, DESCRIPTION)


def _lungs(source: Source, identity: Identity) -> seg.SegmentDescription:
    return seg.SegmentDescription(
        segment_number=1,
        segment_label="Lungs",
        segmented_property_category=standard.SCT.AnatomicalStructure,
        segmented_property_type=standard.SCT.Lung,
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=_algorithm(source),
        tracking_id="Lungs",
        tracking_uid=identity.uid("tracking", source.instance, "Lungs"),
    )


def _algorithm(source: Source) -> AlgorithmIdentificationSequence:
    if source.is_slice:
        name, family = "hilum lungs of CT slices", standard.DCM.MorphologicalOperations
        made_by = f"version {masks.VERSION}"
    else:
        name, family = "hilum lungs of radiographs", standard.DCM.ArtificialIntelligence
        made_by = lung_finder().digest
    return AlgorithmIdentificationSequence(
        name=name,
        family=family,
        version=__version__,
        source=MANUFACTURER,
        parameters={"digest": made_by},
    )


def _own_dimension(made: Dataset, uid: str) -> None:
    """An identifier of the film's own, where highdicom takes a random one."""
    for sequence in (made.DimensionOrganizationSequence, made.DimensionIndexSequence):
        for row in sequence:
            row.DimensionOrganizationUID = uid
