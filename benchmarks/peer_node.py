"""The peer of `benchmarks/node.py`: the same chain in a plain script, as tutorials write it.

    python benchmarks/peer_node.py BACKBONE ARCHIVE_PORT

pynetdicom takes a film, pydicom reads it, PyTorch computes class and Grad-CAM, highdicom writes
report, picture and outline, pynetdicom sends them. Its lungs are what is dark: it has no network
for them.
"""

import sys
import threading
import warnings
from io import BytesIO

import cv2
import highdicom as hd
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom import sop_class as sop

from latency import CLASSES, plain, random_model

SHOWN = 608  # pixels of each panel of the picture
KINDS = (sop.Comprehensive3DSRStorage, sop.SecondaryCaptureImageStorage, sop.SegmentationStorage)


def report(film: Dataset, p: npt.NDArray[np.float32]) -> Dataset:
    """Every class's probability, by template TID 1500."""
    device = hd.sr.DeviceObserverIdentifyingAttributes(uid=hd.UID(), name="peer")
    observer = hd.sr.ObserverContext(codes.DCM.Device, device)
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        hd.sr.TrackingIdentifier(hd.UID(), "answer"),
        measurements=[
            hd.sr.Measurement(codes.DCM.Probability, float(value), codes.UCUM.NoUnits,
                              tracking_identifier=hd.sr.TrackingIdentifier(hd.UID(), name))
            for name, value in zip(CLASSES, p, strict=True)
        ],
        source_images=[hd.sr.SourceImageForMeasurementGroup.from_source_image(film)],
    )  # fmt: skip
    content = hd.sr.MeasurementReport(
        hd.sr.ObservationContext(observer_device_context=observer),
        codes.SCT.PlainRadiography, [group], title=codes.DCM.ImagingMeasurementReport,
    )  # fmt: skip
    return hd.sr.Comprehensive3DSR(
        [film], content[0], hd.UID(), 1, hd.UID(), 1, manufacturer="peer"
    )


def picture(film: Dataset, grey: npt.NDArray[np.uint8], cam: npt.NDArray[np.float32]) -> Dataset:
    """Film and heat next to each other."""
    small = cv2.cvtColor(cv2.resize(grey, (SHOWN, SHOWN)), cv2.COLOR_GRAY2RGB)
    heat = cv2.resize(np.uint8(255 * cam / max(cam.max(), 1e-12)), (SHOWN, SHOWN))
    colour = cv2.applyColorMap(heat, cv2.COLORMAP_PLASMA)[..., ::-1]
    page = np.hstack([small, cv2.addWeighted(small, 0.6, np.ascontiguousarray(colour), 0.4, 0)])
    return hd.sc.SCImage.from_ref_dataset(
        film, page, "RGB", 8, "PATIENT", hd.UID(), 2, hd.UID(), 1, "peer",
        patient_orientation=("L", "F"),
    )  # fmt: skip


def outline(film: Dataset, grey: npt.NDArray[np.uint8]) -> Dataset:
    """What is dark."""
    mask = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)[1] > 0
    algorithm = hd.AlgorithmIdentificationSequence("peer", codes.DCM.ArtificialIntelligence, "1")
    segment = hd.seg.SegmentDescription(
        1, "Lungs", codes.SCT.AnatomicalStructure, codes.SCT.Lung,
        hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC, algorithm,
    )  # fmt: skip
    return hd.seg.Segmentation(
        [film], mask[None].astype(np.uint8), hd.seg.SegmentationTypeValues.BINARY, [segment],
        hd.UID(), 3, hd.UID(), 1, "peer", "peer", "1", "1",
    )  # fmt: skip


def main() -> None:
    """Answer films until the process is ended."""
    warnings.simplefilter("ignore")
    answer = plain(random_model(sys.argv[1]))

    def stored(event: "evt.Event") -> int:
        film = event.dataset
        film.file_meta = event.file_meta
        stored_values = film.pixel_array.astype(np.float32)
        grey = np.uint8(255 * stored_values / max(stored_values.max(), 1))
        file = BytesIO()
        Image.fromarray(grey).save(file, "BMP")  # what `plain` opens; nothing is compressed
        file.seek(0)
        p, cam = answer(file)  # type: ignore[arg-type]
        send([report(film, p), picture(film, grey, cam), outline(film, grey)])
        return 0

    def send(results: list[Dataset]) -> None:
        entity = AE("PEER")
        for kind in KINDS:
            entity.add_requested_context(kind, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", int(sys.argv[2]), ae_title="ORTHANC")
        for result in results:
            assert association.send_c_store(result).Status == 0
        association.release()

    entity = AE("PEER")
    entity.add_supported_context(sop.DigitalXRayImageStorageForPresentation)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)]
    )
    print(server.socket.getsockname()[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
