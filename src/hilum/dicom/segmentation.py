"""The lungs of a film as a binary Segmentation of its own rows and columns."""

from functools import cache

import cv2
import numpy as np
from highdicom import AlgorithmIdentificationSequence, seg
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard

from hilum import __version__
from hilum.dicom.finish import finish
from hilum.dicom.identity import MANUFACTURER, NAME, Identity
from hilum.dicom.source import Source
from hilum.preprocess.lungs import ct, masks
from hilum.preprocess.lungs.masks import LungMask
from hilum.types import Image, Mask

SERIES, DESCRIPTION = 9003, "hilum: lungs (research only)"
SIDE = 1024  # pixels of the longer side on which lungs are found; the outline is no finer


def find_lungs(source: Source) -> tuple[Mask | None, str]:
    """The lungs (row, column) of the film's own pixels, or none and why."""
    if source.image is None:
        return None, "the image cannot be read"
    found = _found(source.image, source.is_slice)
    if not found.good:
        return None, found.status
    size = int(source.header.Columns), int(source.header.Rows)
    mask = cv2.resize(found.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return mask.astype(bool), ""


def _found(image: Image, is_slice: bool) -> LungMask:
    pixels = image.pixels
    scale = SIDE / max(pixels.shape)
    if scale < 1:
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if is_slice:
        return ct.lungs(pixels)
    return _finder()(pixels)


@cache
def _finder() -> masks.FindsLungs:
    from hilum.preprocess.lungs import segmenter

    return segmenter.load_segmenter()


def segmentation(source: Source, mask: Mask, identity: Identity) -> Dataset:
    """A mask (row, column) as a Segmentation: one frame, paired with the film by its place."""
    made = seg.Segmentation(
        source_images=[source.header],
        pixel_array=mask[None].astype(np.uint8),
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
        made_by = _finder().digest
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
