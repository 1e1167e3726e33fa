"""What an Enhanced object says of its one frame, moved to where other objects have it.

DICOM PS3.3 C.7.6.16: functional groups occur once for all frames (shared), or once for each.
"""

from pydicom.datadict import keyword_dict

from hilum.images.dicom_elements import Elements

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
# each macro's sequence, and the elements that it holds in place of those of the whole image
MACROS = {
    "PixelValueTransformationSequence": (
        "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType",
    ),
    "FrameVOILUTSequence": ("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "FramePixelDataPropertiesSequence": ("ImagerPixelSpacing",),
    "FrameAnatomySequence": ("FrameLaterality",),
}  # fmt: skip


def of_one_frame(elements: Elements) -> Elements:
    """`elements` with those of the first frame's macros in place of the whole image's.

    Real World Value Mapping (C.7.6.16.2.11) is left out: it does not say what is shown.
    DICOM PS3.3 C.7.6.16:
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.16.html
    """
    raw = dict(elements.raw)
    for group in GROUPS:  # the frame's own values come last and win
        for item in elements.items(group)[:1]:
            for macro, keywords in MACROS.items():
                tags = [keyword_dict[keyword] for keyword in keywords]
                values = next((each.raw for each in item.items(macro)), {})
                held = {tag: values[tag] for tag in tags if tag in values}
                if held:
                    raw = {tag: value for tag, value in raw.items() if tag not in tags} | held
    return Elements(raw)
