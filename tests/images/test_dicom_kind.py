"""Which DICOM objects are pictures, which may not belong, and how a view is coded."""

import re
from typing import Any

import numpy as np
import pytest
from dicom_maker import Saver, make_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping
from pydicom.uid import UID, UID_dictionary

from hilum import images
from hilum.images import dicom_view, view_words
from hilum.types import HilumError

STORAGE = "1.2.840.10008.5.1.4.1.1."
NOT_PICTURES = {
    "66.4": "Segmentation", "66.7": "Label Map Segmentation", "481.2": "RT Dose",
    "481.3": "RT Structure Set", "88.11": "Basic Text SR", "88.59": "Key Object Selection Document",
    "11.1": "Grayscale Softcopy Presentation State", "30": "Parametric Map",
    "9.1.1": "12-lead ECG Waveform", "104.1": "Encapsulated PDF", "66": "Raw Data",
    "67": "Real World Value Mapping", "88.67": "X-Ray Radiation Dose SR",
}  # fmt: skip
PIXELS = np.arange(48, dtype=np.uint16).reshape(8, 6)


def picture(**tags: Any) -> Dataset:
    """A radiograph of 8 x 6 pixels with these elements."""
    usual = {"SOPClassUID": STORAGE + "1.1", "Modality": "DX"}
    return make_dicom(PIXELS, usual | tags)


@pytest.mark.parametrize("with_pixels", [True, False])
@pytest.mark.parametrize(("end", "name"), NOT_PICTURES.items())
def test_what_is_no_picture_is_refused_by_name(
    end: str, name: str, with_pixels: bool, save: Saver
) -> None:
    dataset = picture(SOPClassUID=STORAGE + end, Modality="OT")
    if not with_pixels:
        del dataset.PixelData
    path = save(dataset)
    for see in (images.probe, images.read):
        with pytest.raises(HilumError, match=re.escape(f"none ({name}")):
            see(path)


@pytest.mark.parametrize("modality", ["SEG", "RTDOSE", "SR", "PR", "KO", "DOC"])
def test_the_modality_tells_where_the_class_does_not(modality: str, save: Saver) -> None:
    for uid in (None, "1.2.3.4", STORAGE + "7"):
        dataset = picture(Modality=modality, SOPClassUID=uid or "")
        with pytest.raises(HilumError, match=rf"none \({modality}\)"):
            images.probe(save(dataset))


def test_every_class_of_images_of_the_standard_is_a_picture(save: Saver) -> None:
    named = {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class"}
    pictures = [uid for uid, name in named.items() if "Image Storage" in name]
    others = [
        uid
        for uid, name in named.items()
        if re.search(r" Storage( - Trial)?$", name) and uid not in pictures
    ]
    assert (len(pictures), len(others)) >= (60, 90)
    for uid in pictures:
        assert images.read(save(picture(SOPClassUID=uid, Modality=""))).pixels.shape == (8, 6)
    for uid in others:
        with pytest.raises(HilumError, match="none"):
            images.probe(save(picture(SOPClassUID=uid, Modality="")))


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({}, None), ({"SOPClassUID": STORAGE + "1", "Modality": "CR"}, None),
        ({"SOPClassUID": STORAGE + "2", "Modality": "CT"}, None), ({"SOPClassUID": ""}, None),
        ({"SOPClassUID": "1.2.3.4"}, None),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "CT_SOM5 TOP"]}, "localizer"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}, None),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for processing"),
        ({"PresentationIntentType": "FOR PRESENTATION"}, None),
        ({"SOPClassUID": STORAGE + "1.1.1"}, "for processing"),
        ({"SOPClassUID": STORAGE + "7", "Modality": "CR"}, "secondary capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "secondary capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"], "Modality": "CT",
          "SOPClassUID": STORAGE + "2"}, "derived"),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, None),
        ({"SOPClassUID": STORAGE + "6.1", "Modality": "US"}, "Ultrasound Image"),
        ({"SOPClassUID": STORAGE + "20", "Modality": "NM"}, "Nuclear Medicine Image"),
        ({"SOPClassUID": STORAGE + "128", "Modality": "PT"}, "Positron Emission Tomography Image"),
        ({"SOPClassUID": "", "Modality": "MR"}, "Modality MR"),
    ],
)  # fmt: skip
def test_kinds(tags: dict[str, Any], kind: str | None, save: Saver) -> None:
    assert images.probe(save(picture(**tags))).get("kind") == kind


def coded(value: str, scheme: str, meaning: str = "sans titre", modifier: str = "") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    if modifier:
        item.ViewModifierCodeSequence = Sequence([coded(modifier, "SRT")])
    return item


def test_codes_decide_as_in_the_standards_table(save: Saver) -> None:
    """PS3.16 CID 4010 as pydicom has it, SNOMED CT and RT: by the meaning that it gives there."""
    usual = {
        "postero-anterior": "PA", "antero-posterior": "AP", "lateral": "lateral",
        "left lateral": "lateral", "right lateral": "lateral",
    }  # fmt: skip
    seen = 0
    for name in cid_concepts[4010]["SCT"]:
        for code, (meaning, cids) in concepts["SCT"][name].items():
            if 4010 not in cids:
                continue
            for scheme, value in (("SCT", code), ("SRT", mapping["SCT"].get(code))):
                if value:
                    path = save(picture(ViewCodeSequence=Sequence([coded(value, scheme)])))
                    assert images.probe(path).get("view") == usual.get(meaning), meaning
                    seen += 1
    assert seen > 80


@pytest.mark.parametrize(
    ("item", "position", "view"),
    [
        (coded("R-10214", "SRT"), "", "PA"), (coded("R-10214", "SNM3"), "", "PA"),
        (coded("272479007", "SCT", "AP"), "AP", "PA"),  # the code decides
        (coded("399348003", "SCT", "lateral"), "LL", "AP"),
        (coded("272479007", "99HOSPITAL", "profil"), "", None),  # somebody's own code
        (coded("17", "99HOSPITAL", "left lateral"), "", "lateral"),
        (coded("17", "99HOSPITAL", "left lateral"), "PA", "PA"),
        (coded("399067008", "SCT", modifier="R-102C1"), "", None),  # lateral, oblique
        (coded("399067008", "SCT", modifier="111069"), "", "lateral"),
        (coded("399033003", "SCT", "frontal"), "PA", None),
        (coded("399160007", "SCT", "AP"), "AP", None),
    ],
)  # fmt: skip
def test_code_position_and_meaning(
    item: Dataset, position: str, view: str | None, save: Saver
) -> None:
    path = save(picture(ViewCodeSequence=Sequence([item]), ViewPosition=position))
    assert images.probe(path).get("view") == view


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("XTABLE LATERAL", "lateral"), ("X-TABLE LAT", "lateral"), ("LATERAL CHEST", "lateral"),
        ("LLAT", "lateral"), ("L LAT", "lateral"), ("LEFT LATERAL", "lateral"), ("RL", "lateral"),
        ("AP AXIAL", "AP"), ("AP LORDOTIC", "AP"), ("AP ERECT", "AP"), ("AP_PORTABLE", "AP"),
        ("AP SUPINE", "AP supine"), ("PA ERECT", "PA"), ("P.A.", "PA"), ("a-p", "AP"),
        ("posteroanterior", "PA"), ("posterior-anterior", "PA"), ("Antero-Posterieur", "AP"),
        ("PA LATERAL", None), ("AP/PA", None), ("LATERAL DECUBITUS", None), ("LLD", None),
        ("RLO", None), ("AP OBLIQUE", None), ("FRONTAL", None), ("AXIAL", None), ("", None),
        ("BILATERAL", None), ("APICAL", None), ("medio-lateral", None), ("PALM", None),
    ],
)  # fmt: skip
def test_views_in_words(text: str, view: str | None) -> None:
    assert view_words.in_words(text) == view


def test_no_code_has_two_meanings() -> None:
    assert not set(dicom_view.CODES) & dicom_view.OTHER
    assert UID(STORAGE + "2").name == "CT Image Storage"
