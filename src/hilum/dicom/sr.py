"""The report: Comprehensive 3D SR by template TID 1500, DICOM PS3.16.

https://dicom.nema.org/medical/dicom/current/output/chtml/part16/chapter_A.html#sect_TID_1500
"""

from collections.abc import Iterator

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code

from hilum import __version__
from hilum.dicom import codes
from hilum.dicom.finish import finish
from hilum.dicom.identity import MANUFACTURER, NAME, Identity
from hilum.dicom.source import Source
from hilum.inference.answer import Prediction
from hilum.types import CLASS_NAMES, NOTICE

SERIES, DESCRIPTION = 9001, "hilum: report (research only)"
NO_UNIT = standard.UCUM.NoUnits
NOT_ASSESSED = standard.SCT.NotEvaluated
GROUP = "Answer of the model"
TITLE = standard.DCM.ImagingMeasurementReport


def report(
    source: Source, prediction: Prediction, identity: Identity, without_lungs: str = ""
) -> Dataset:
    """Probabilities, class or refusal, verdict and notice, about one film.

    `without_lungs` says why there is no segmentation, or is empty.
    """
    whole = sr.MeasurementReport(
        observation_context=_observer(identity),
        procedure_reported=_procedure(source),
        imaging_measurements=[_group(source, prediction, identity, without_lungs)],
        title=TITLE,
    )
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
    made.ContentSequence = whole[0].ContentSequence
    _separate(made)
    return finish(made, source, identity, DESCRIPTION)


def _referring(source: Source) -> sr.ContainerContentItem:
    """The root of the report with nothing but its reference to the film."""
    root = sr.ContainerContentItem(TITLE, is_content_continuous=True, template_id="1500")
    root.ContentSequence = sr.ContentSequence([_film(source)])
    return root


def _film(source: Source) -> sr.SourceImageForMeasurementGroup:
    return sr.SourceImageForMeasurementGroup(str(source.header.SOPClassUID), source.instance)


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


def _procedure(source: Source) -> Code:
    return standard.SCT.ComputedTomography if source.is_slice else standard.SCT.PlainRadiography


def _group(
    source: Source, prediction: Prediction, identity: Identity, without_lungs: str
) -> sr.MeasurementsAndQualitativeEvaluations:
    """TID 1501: what was measured of the film, by what, and what follows."""
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(identity, source, GROUP),
        algorithm_id=_algorithm(identity),
        finding_sites=[sr.FindingSite(standard.SCT.Lung)],
        measurements=[
            _probability(name, value, source, identity)
            for name, value in prediction.probabilities.items()
        ],
        qualitative_evaluations=[*_findings(prediction)],
        source_images=[_film(source)],
    )
    for name, words in _texts(prediction, identity, without_lungs):
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


def _probability(name: str, value: float, source: Source, identity: Identity) -> sr.Measurement:
    """One class's probability, the class as its modifier; highdicom refuses NumPy's numbers."""
    what = f"Probability of {CLASS_NAMES.get(name, name)}"
    measurement = sr.Measurement(
        name=standard.DCM.Probability,
        value=float(value),
        unit=NO_UNIT,
        tracking_identifier=_tracking(identity, source, what),
    )
    measurement[0].ContentSequence.append(
        sr.CodeContentItem(
            standard.DCM.Finding,
            codes.class_code(name),
            sr.RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    return measurement


def _tracking(identity: Identity, source: Source, what: str) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(
        uid=identity.uid("tracking", source.instance, what), identifier=what
    )


def _findings(prediction: Prediction) -> Iterator[sr.QualitativeEvaluation]:
    abstained = standard.SCT.Yes if prediction.abstained else standard.SCT.No
    found = NOT_ASSESSED if prediction.abstained else codes.class_code(prediction.label)
    yield sr.QualitativeEvaluation(standard.DCM.Finding, found)
    yield sr.QualitativeEvaluation(codes.ABSTAINED, abstained)


def _texts(
    prediction: Prediction, identity: Identity, without_lungs: str
) -> Iterator[tuple[Code, str]]:
    if prediction.reason:
        yield codes.REASON, prediction.reason
    if prediction.seen:
        yield codes.SEEN, prediction.seen
    if without_lungs:
        yield codes.LUNGS, without_lungs
    yield codes.VERDICT, identity.verdict
    yield standard.DCM.Comment, NOTICE


def _separate(item: Dataset) -> None:
    """Containers as separate statements: DCMTK's pages show numbers of continuous ones nameless."""
    if item.get("ValueType") == "CONTAINER" or "ContinuityOfContent" in item:
        item.ContinuityOfContent = "SEPARATE"
    for inner in item.get("ContentSequence", ()):
        _separate(inner)
