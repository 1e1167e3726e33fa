"""Films, a sender and an archive in this process, and answers without a network."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pynetdicom import AE, evt
from pynetdicom import sop_class as sop

from hilum.node.answers import Answered, FilmAnswers
from hilum.node.node import Node, NodeSettings, running
from hilum.node.outcome import Sender
from hilum.node.peers import Archive, Peers
from hilum.node.reading import Left, accepted
from hilum.node.rules import FilmRules
from hilum.node.status import SpoolStatus, read_status
from hilum.node.store import StoreSender

LOOPBACK = "127.0.0.1"
PATIENCE = 180.0  # seconds
NAME = "Doe^Jane"  # in every film; never in a log


def film(seed: int, **tags: Any) -> Dataset:
    """A digital radiograph, and what a test changes of it."""
    y, x = np.mgrid[0:120, 0:100]
    noise = np.random.default_rng(seed).normal(0, 5, x.shape)
    pixels = np.clip(90 + 50 * np.sin(x / (9 + seed % 7)) + y / 5 + noise, 0, 255).astype(np.uint8)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = tags.pop("syntax", uid.ExplicitVRLittleEndian)
    made.SOPClassUID = sop.DigitalXRayImageStorageForPresentation
    made.SOPInstanceUID = uid.generate_uid(entropy_srcs=[f"film {seed}"])
    made.StudyInstanceUID = uid.generate_uid(entropy_srcs=[f"study {seed}"])
    made.SeriesInstanceUID = uid.generate_uid(entropy_srcs=[f"series {seed}"])
    made.Modality, made.PatientID, made.PatientName = "DX", f"P-{seed}", NAME
    made.PatientBirthDate = made.PatientSex = made.StudyDate = made.StudyTime = ""
    made.ReferringPhysicianName = made.StudyID = made.AccessionNumber = ""
    made.PresentationIntentType = "FOR PRESENTATION"
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OB"
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def send(
    port: int, films: Sequence[Dataset], calling: str = "MODALITY", called: str = "HILUM"
) -> list[int | None]:
    """The status of each film; None where there was no answer or no association."""
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    for one in films:
        entity.add_requested_context(one.SOPClassUID, one.file_meta.TransferSyntaxUID)
    association = entity.associate(LOOPBACK, port, ae_title=called)
    statuses: list[int | None] = []
    for one in films:
        if not association.is_established:
            statuses.append(None)
            continue
        try:
            statuses.append(association.send_c_store(one).get("Status"))
        except ValueError:  # its context was refused
            statuses.append(None)
    if association.is_established:
        association.release()
    return statuses


@dataclass(slots=True)
class ArchivePeer:
    """An archive that counts what it stores."""

    stored: Counter[str] = field(default_factory=Counter)  # SOP Instance UID -> times
    sources: Counter[str] = field(default_factory=Counter)  # of films -> results, once each
    datasets: dict[str, Dataset] = field(default_factory=dict)
    status: Callable[[], int] = lambda: 0
    server: Any = None

    def start(self, port: int = 0) -> None:
        """Listen."""
        entity = AE("ARCHIVE")
        for kind in (sop.SecondaryCaptureImageStorage, sop.Comprehensive3DSRStorage,
                     sop.SegmentationStorage):  # fmt: skip
            entity.add_supported_context(kind)
        self.server = entity.start_server(
            (LOOPBACK, port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )

    def stop(self) -> None:
        """End."""
        self.server.ae.shutdown()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.socket.getsockname()[1])

    def _store(self, event: "evt.Event") -> int:
        status = self.status()
        if status in (0, 0xB000):
            self.stored[event.request.AffectedSOPInstanceUID] += 1
            self.datasets[event.request.AffectedSOPInstanceUID] = event.dataset
        return status


@contextmanager
def archive(port: int = 0) -> Iterator[ArchivePeer]:
    """An archive that listens."""
    peer = ArchivePeer()
    peer.start(port)
    try:
        yield peer
    finally:
        peer.stop()


def result_uid(source: str) -> str:
    """The instance that `PlainAnswers` makes of a film."""
    return str(uid.generate_uid(entropy_srcs=[f"result of {source}"]))


@dataclass(slots=True)
class PlainAnswers:
    """One small object a film: for what has nothing to do with a network."""

    trouble: Callable[[], None] = lambda: None

    def begin(self, film: Path, sender: str, rules: FilmRules) -> Callable[[], Answered]:
        """As `answers.ModelAnswers`."""
        return lambda: self._results(film, sender, rules)

    def _results(self, film: Path, sender: str, rules: FilmRules) -> Answered:
        header = accepted(film, film.read_bytes(), sender, rules)
        return header if isinstance(header, Left) else self.objects(header)

    def objects(self, header: Dataset) -> list[Dataset]:
        """The results of a film."""
        self.trouble()
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = sop.SecondaryCaptureImageStorage
        made.SOPInstanceUID = result_uid(header.SOPInstanceUID)
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        made.StudyInstanceUID, made.PatientID = header.StudyInstanceUID, header.PatientID
        return [made]


@contextmanager
def node(
    spool: Path,
    target: ArchivePeer | Sender | int,
    answers: FilmAnswers | None = None,
    rules: FilmRules | None = None,
    peers: Sequence[str] = (),
    digest: str = "digest",
) -> Iterator[Node]:
    """A node at any free port whose archive answers within two seconds or not at all."""
    sender: Sender
    if isinstance(target, ArchivePeer | int):
        port = target if isinstance(target, int) else target.port
        sender = StoreSender("HILUM", Archive("ARCHIVE", LOOPBACK, port), 2.0)
    else:
        sender = target
    settings = NodeSettings(
        "HILUM", LOOPBACK, 0, spool, Peers.of(peers, LOOPBACK), rules or FilmRules(), 0.05
    )
    with running(settings, digest, answers or PlainAnswers(), sender) as started:
        yield started


def wait_for(condition: Callable[[], bool]) -> None:
    """Ask again and again, for a while."""
    late = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < late
        time.sleep(0.02)


def settled(folder: Path) -> SpoolStatus:
    """The status when nothing moves any more."""

    def still() -> bool:
        films = read_status(folder).films
        return not films["received"] + films["working"] + films["done"]

    wait_for(still)
    return read_status(folder)
