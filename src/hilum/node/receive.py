"""Films come in by C-STORE: on the disk first, then the status "success" (DICOM PS3.4 B, A).

https://dicom.nema.org/medical/dicom/current/output/chtml/part04/chapter_B.html
"""

import logging
import shutil
import sqlite3
from dataclasses import dataclass
from typing import Any

from pydicom import uid
from pynetdicom import AE, evt

from hilum.node.commitment import PUSH_MODEL, Commitments
from hilum.node.peers import Peers
from hilum.node.spool import Spool
from hilum.types import HilumError

VERIFICATION = uid.UID("1.2.840.10008.1.1")
LOG = logging.getLogger("hilum.node")
TAKEN = (
    uid.ComputedRadiographyImageStorage, uid.DigitalXRayImageStorageForPresentation,
    uid.CTImageStorage, uid.SecondaryCaptureImageStorage,
)  # fmt: skip
# an association for these is accepted, so that each film has a status and is counted
REFUSED = (
    uid.DigitalXRayImageStorageForProcessing, uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage, uid.EnhancedXAImageStorage,
    uid.EnhancedXRFImageStorage, uid.XRayAngiographicImageStorage,
    uid.XRayRadiofluoroscopicImageStorage, uid.MRImageStorage, uid.EnhancedMRImageStorage,
    uid.UltrasoundImageStorage, uid.UltrasoundMultiFrameImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    uid.DigitalMammographyXRayImageStorageForPresentation,
    uid.PositronEmissionTomographyImageStorage,
)  # fmt: skip
SYNTAXES = [
    uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit,
    uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K,
    uid.RLELossless,
]  # fmt: skip
# PS3.7 annex C and PS3.4 table B.2-1
SUCCESS, NO_SUCH_CLASS, OUT_OF_RESOURCES, FAILED = 0x0000, 0x0122, 0xA700, 0x0110
REJECTED, BY_USER, UNKNOWN_CALLER = 0x01, 0x01, 0x03  # PS3.8 table 9-21
LEAST_FREE = 64 * 2**20  # bytes that stay free for results and for the queue itself
CONNECTIONS = 32  # associations at a time
PIECE = 2**17  # bytes of a film that a peer may send at once; the usual 2**14 cost as much each
IDLE_SECONDS = 60  # without a word from a peer, then its association ends


@dataclass(slots=True)
class Receiver:
    """Listens for peers; `start`, `stop`."""

    spool: Spool
    title: str
    address: tuple[str, int]
    peers: Peers
    commitments: Commitments
    server: Any = None  # pynetdicom's, once started

    @property
    def port(self) -> int:
        """The port in use, where any free one was asked for."""
        return int(self.server.socket.getsockname()[1])

    def start(self) -> None:
        """Take the port; HilumError where it is in use."""
        entity = AE(self.title)
        entity.require_called_aet = True
        entity.maximum_associations = CONNECTIONS
        entity.network_timeout = IDLE_SECONDS
        entity.maximum_pdu_size = PIECE
        for kind in (*TAKEN, *REFUSED):
            entity.add_supported_context(kind, SYNTAXES)
        entity.add_supported_context(VERIFICATION)
        # the archive reports as the provider of the service, in an association that it opens
        entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested), (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_EVENT_REPORT, self._report),
        ]  # fmt: skip
        host, port = self.address
        try:
            self.server = entity.start_server(self.address, block=False, evt_handlers=handlers)
        except (OSError, OverflowError) as error:
            raise HilumError(
                f"node needs a free port; got {host}:{port}, where the system says "
                f"'{getattr(error, 'strerror', None) or error}'; choose another --port or --host."
            ) from None

    def stop(self) -> None:
        """End; associations that are open are aborted, and their peers send again."""
        if self.server is not None:
            self.server.ae.shutdown()

    def _requested(self, event: "evt.Event") -> None:
        """Reject an association of a peer that is not known, by AE title and address."""
        caller = event.assoc.requestor
        asked = caller.primitive  # its title is not in `ae_title` yet
        title = str(asked.calling_ae_title) if asked else ""
        if not self.peers.known(title, str(caller.address)):
            self.spool.count("associations of unknown peers rejected")
            LOG.warning("an association of an unknown peer was rejected")
            event.assoc.acse.send_reject(REJECTED, BY_USER, UNKNOWN_CALLER)

    def _store(self, event: "evt.Event") -> int:
        """A status for one film; success only when it is on the disk."""
        request: Any = event.request
        if request.AffectedSOPClassUID in REFUSED:
            name = uid.UID(request.AffectedSOPClassUID).name
            self.spool.count(f"refused: {name}")
            return NO_SUCH_CLASS
        instance = str(request.AffectedSOPInstanceUID)
        try:
            if self.spool.is_result(instance):  # an archive that passes on whatever it stores
                self.spool.count("results of this node that came back")
                return SUCCESS
            if shutil.disk_usage(self.spool.folder).free < LEAST_FREE:
                raise OSError("too little space is left")
            number = self.spool.receive(
                instance, event.encoded_dataset(), str(event.assoc.requestor.ae_title).strip()
            )
        except (OSError, sqlite3.Error) as error:
            LOG.warning("a film was not accepted: %s", getattr(error, "strerror", None) or error)
            return OUT_OF_RESOURCES
        LOG.info("film %d received", number)
        return SUCCESS

    def _report(self, event: "evt.Event") -> tuple[int, None]:
        """The archive's word on results that it was asked to keep."""
        try:
            self.commitments.heard(event.event_information)
        except Exception as error:  # noqa: BLE001 - whatever the archive sent; its words stay out
            LOG.warning("a commitment was not understood (%s)", type(error).__name__)
            return FAILED, None
        return SUCCESS, None
