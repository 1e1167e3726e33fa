"""The report: Comprehensive 3D SR by template TID 1500, DICOM PS3.16.

https://dicom.nema.org/medical/dicom/current/output/chtml/part16/chapter_A.html#sect_TID_1500
"""

from collections.abc import Iterator
from functools import lru_cache

from highdicom import sr
from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.sr.codedict import codes as standard
from pydicom.tag import Tag
from pydicom.valuerep import DS

from hilum import __version__
from hilum.dicom import codes, template
from hilum.dicom.finish import finish
from hilum.dicom.header import UTF_8
from hilum.dicom.identity import MANUFACTURER, NAME, Identity
from hilum.dicom.source import Source
from hilum.dicom.template import Items, Value
from hilum.inference.answer import Prediction
from hilum.types import CLASS_NAMES, NOTICE

SERIES, DESCRIPTION = 9001, "hilum: report (research only)"
NO_UNIT = standard.UCUM.NoUnits
NOT_ASSESSED = standard.SCT.NotEvaluated
GROUP = "Answer of the model"
TITLE = standard.DCM.ImagingMeasurementReport
CONTENT = Tag("ContentSequence")
# the marks in the content of all reports; a film has its own values there
KIND, INSTANCE, TRACKING = "2.25.1", "2.25.2", "2.25.3"
REASON, SEEN, LUNGS = "@reason@", "@seen@", "@lungs@"
TEXTS = {REASON: codes.REASON, SEEN: codes.SEEN, LUNGS: codes.LUNGS}


def report(
    source: Source, prediction: Prediction, identity: Identity, without_lungs: str = ""
) -> Dataset:
    """Probabilities, class or refusal, verdict and notice, about one film.

    `without_lungs` says why there is no segmentation, or is empty.
    """
    # highdicom copies what it is given, item by item: it gets the part that refers to the film
    made = sr.Comprehensive3DSR(
        evidence=[source.header],
        content=_referring(source),
        series_instance_uid=identity.uid("SR series", str(source.header.SeriesInstanceUID)),
        series_number=SERIES,
        sop_instance_uid=identity.uid("SR", source.instance),
        instance_number=source.number,
        manufacturer=MANUFACTURER,
        is_complete=True,
    )
    made.ContinuityOfContent = "SEPARATE"
    finish(made, source, identity, DESCRIPTION)
    texts = _texts(prediction, without_lungs)
    found = "" if prediction.abstained else prediction.label
    same = _content(identity, source.is_slice, tuple(prediction.probabilities), found, tuple(texts))
    values = _values(source, prediction, identity) | {name: texts[name] for name in texts}
    made[CONTENT] = template.filled(CONTENT, same, values)
    # pydicom writes what it has read as it is: the content is not decoded for it
    made.set_original_encoding(*template.ENCODING, convert_encodings(UTF_8))
    return made


def _referring(source: Source) -> sr.ContainerContentItem:
    """The root of the report with nothing but its reference to the film."""
    root = sr.ContainerContentItem(TITLE, is_content_continuous=True, template_id="1500")
    film = sr.SourceImageForMeasurementGroup(str(source.header.SOPClassUID), source.instance)
    root.ContentSequence = sr.ContentSequence([film])
    return root


def _values(source: Source, prediction: Prediction, identity: Identity) -> dict[Value, Value]:
    """What a film has in the place of the content's own words and numbers."""
    values: dict[Value, Value] = {
        KIND: str(source.header.SOPClassUID),
        INSTANCE: source.instance,
        TRACKING: identity.uid("tracking", source.instance, GROUP),
    }
    for i, (name, p) in enumerate(prediction.probabilities.items()):
        number = float(p)  # highdicom refuses NumPy's numbers
        values[_number(i)] = number
        values[_digits(_number(i))] = _digits(number)
        values[_tracked(i)] = identity.uid("tracking", source.instance, _what(name))
    return values


def _number(i: int) -> float:
    """What stands for the probability of a class."""
    return (i + 1) / 1024


def _digits(number: float) -> str:
    return str(DS(number, auto_format=True))


def _tracked(i: int) -> str:
    """What stands for the identifier of a class's probability."""
    return f"{TRACKING}.{i}"


def _what(name: str) -> str:
    return f"Probability of {CLASS_NAMES.get(name, name)}"


@lru_cache(maxsize=64)
def _content(
    identity: Identity, is_slice: bool, names: tuple[str, ...], found: str, texts: tuple[str, ...]
) -> Items:
    """The content of all reports alike; `found` is the class, or "" where none is."""
    whole = sr.MeasurementReport(
        observation_context=_observer(identity),
        procedure_reported=(
            standard.SCT.ComputedTomography if is_slice else standard.SCT.PlainRadiography
        ),
        imaging_measurements=[_group(identity, names, found, texts)],
        title=TITLE,
    )
    items = whole[0].ContentSequence
    for item in items:
        _separate(item)
    tracked = [_tracked(i) for i in range(len(names))]
    numbers = [_number(i) for i in range(len(names))]
    own: list[Value] = [
        KIND,
        INSTANCE,
        TRACKING,
        *texts,
        *tracked,
        *numbers,
        *map(_digits, numbers),
    ]
    return template.pattern(items, own)


def _observer(identity: Identity) -> sr.ObservationContext:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=identity.device_uid,
        name=NAME,
        manufacturer_name=MANUFACTURER,
        model_name=f"{NAME} {identity.version}",
    )
    observer = sr.ObserverContext(
        observer_type=standard.DCM.Device, observer_identifying_attributes=device
    )
    return sr.ObservationContext(observer_device_context=observer)


def _group(
    identity: Identity, names: tuple[str, ...], found: str, texts: tuple[str, ...]
) -> sr.MeasurementsAndQualitativeEvaluations:
    """TID 1501: what was measured of the film, by what, and what follows."""
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=TRACKING, identifier=GROUP),
        algorithm_id=_algorithm(identity),
        finding_sites=[sr.FindingSite(standard.SCT.Lung)],
        measurements=[_probability(i, name) for i, name in enumerate(names)],
        qualitative_evaluations=[*_findings(found)],
        source_images=[sr.SourceImageForMeasurementGroup(KIND, INSTANCE)],
    )
    said = [*((TEXTS[name], name) for name in texts), (codes.VERDICT, identity.verdict)]
    for name, words in (*said, (standard.DCM.Comment, NOTICE)):
        group[0].ContentSequence.append(
            sr.TextContentItem(name, words, sr.RelationshipTypeValues.CONTAINS)
        )
    return group


def _algorithm(identity: Identity) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=NAME,
        version=__version__,
        parameters=[f"model digest (SHA-256): {identity.digest}"],
        family=standard.DCM.ArtificialIntelligence,
        manufacturer=MANUFACTURER,
    )


def _probability(i: int, name: str) -> sr.Measurement:
    """One class's probability, the class as its modifier."""
    measurement = sr.Measurement(
        name=standard.DCM.Probability,
        value=_number(i),
        unit=NO_UNIT,
        tracking_identifier=sr.TrackingIdentifier(uid=_tracked(i), identifier=_what(name)),
    )
    measurement[0].ContentSequence.append(
        sr.CodeContentItem(
            standard.DCM.Finding,
            codes.class_code(name),
            sr.RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    return measurement


def _findings(found: str) -> Iterator[sr.QualitativeEvaluation]:
    yield sr.QualitativeEvaluation(
        standard.DCM.Finding, codes.class_code(found) if found else NOT_ASSESSED
    )
    abstained = standard.SCT.No if found else standard.SCT.Yes
    yield sr.QualitativeEvaluation(codes.ABSTAINED, abstained)


def _texts(prediction: Prediction, without_lungs: str) -> dict[str, str]:
    """What is said of this film alone, where there is something to say."""
    said = {REASON: prediction.reason, SEEN: prediction.seen, LUNGS: without_lungs}
    return {name: words for name, words in said.items() if words}


def _separate(item: Dataset) -> None:
    """Containers as separate statements: DCMTK's pages show numbers of continuous ones nameless."""
    if item.get("ValueType") == "CONTAINER" or "ContinuityOfContent" in item:
        item.ContinuityOfContent = "SEPARATE"
    for inner in item.get("ContentSequence", ()):
        _separate(inner)
