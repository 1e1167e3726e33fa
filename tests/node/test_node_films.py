"""From C-STORE to the archive: what is taken, what is refused, what is left alone."""

import logging
import socket
import sqlite3
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from dicom_peers import (
    LOOPBACK,
    NAME,
    ArchivePeer,
    archive,
    film,
    node,
    result_uid,
    send,
    settled,
)
from pydicom import Dataset, dcmread, uid
from pynetdicom import AE
from pynetdicom import sop_class as sop
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF

from hilum.node.commitment import Commitments
from hilum.node.peers import Peers
from hilum.node.queue_tables import FILMS
from hilum.node.receive import Receiver
from hilum.node.rules import FilmRules
from hilum.node.spool import Spool
from hilum.node.status import read_status
from hilum.types import HilumError


@pytest.fixture
def store() -> Iterator[ArchivePeer]:
    with archive() as peer:
        yield peer


def test_a_film_comes_and_its_result_goes_once(
    store: ArchivePeer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hilum")
    films = [film(1), film(2)]
    with node(tmp_path, store) as started:
        assert send(started.port, films) == [0, 0]
        assert settled(tmp_path).films["sent"] == 2
        assert send(started.port, films[:1]) == [0]  # again: acknowledged, answered once
        # an archive that passes on what it stores sends results back
        back = film(9, SOPInstanceUID=result_uid(films[0].SOPInstanceUID))
        assert send(started.port, [back]) == [0]
        status = settled(tmp_path)
    assert store.stored == {result_uid(one.SOPInstanceUID): 1 for one in films}
    assert status.counts == {"films received again": 1, "results of this node that came back": 1}
    assert status.films["sent"] == 2
    assert status.median_seconds is not None
    assert not [*(tmp_path / FILMS).iterdir()]
    assert "film 1 answered" in caplog.text
    identifiers = [NAME, "P-1", *(str(one.SOPInstanceUID) for one in films)]
    assert not [word for word in identifiers if word in caplog.text]
    assert NAME not in str(status)


def test_bytes_reach_the_spool_as_they_were_sent(tmp_path: Path) -> None:
    syntaxes = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
    for number, syntax in enumerate(syntaxes):
        sent = film(number, syntax=syntax)
        with node(tmp_path / str(number), 1) as started:
            started.worker.stop()
            assert send(started.port, [sent]) == [0]
            (kept,) = (tmp_path / str(number) / FILMS).iterdir()
            content = kept.read_bytes()
        assert dcmread(BytesIO(content)).file_meta.TransferSyntaxUID == syntax
        encoded = encode(sent, syntax.is_implicit_VR, syntax.is_little_endian)
        assert encoded is not None
        assert content.endswith(encoded) is True


def test_rules_leave_other_films_alone(store: ArchivePeer, tmp_path: Path) -> None:
    rules = FilmRules(body_parts=("chest",), views=("PA",), sources=("MODALITY",))
    right = film(1, BodyPartExamined="CHEST", ViewPosition="PA")
    others = [
        film(2, BodyPartExamined="KNEE", ViewPosition="PA"),
        film(3, BodyPartExamined="CHEST", ViewPosition="LL"),
        film(4, Modality="OT", SOPClassUID=sop.SecondaryCaptureImageStorage),
        film(5, BodyPartExamined="Doe, Jane; see notes"),
        film(6),
    ]
    with node(tmp_path, store, rules=rules) as started:
        assert send(started.port, [right, *others]) == [0] * 6
        assert send(started.port, [film(7, BodyPartExamined="CHEST")], "OTHER") == [0]
        status = settled(tmp_path)
    assert list(store.stored) == [result_uid(right.SOPInstanceUID)]
    assert status.left_alone == {
        "body part KNEE": 1, "view lateral": 1, "modality OT": 1, "body part unknown": 1,
        "body part not given": 1, "sent by another AE title": 1,
    }  # fmt: skip
    assert not [*(tmp_path / FILMS).iterdir()]


def test_what_is_refused_has_a_status_and_is_counted(store: ArchivePeer, tmp_path: Path) -> None:
    refused = [
        film(1, SOPClassUID=sop.EnhancedXAImageStorage),
        film(2, SOPClassUID=sop.EnhancedCTImageStorage),
        film(3, SOPClassUID=sop.DigitalXRayImageStorageForProcessing),
    ]
    private = film(4)
    private.file_meta.TransferSyntaxUID = uid.UID("1.2.826.0.1.3680043.9.1")
    private.file_meta.TransferSyntaxUID.set_private_encoding(False, True)
    with node(tmp_path, store) as started:
        assert send(started.port, refused) == [0x0122] * 3
        assert send(started.port, [private]) == [None]
        echo = AE("MODALITY")
        echo.add_requested_context(sop.Verification)
        association = echo.associate(LOOPBACK, started.port, ae_title="HILUM")
        assert association.send_c_echo().Status == 0
        association.release()
    status = read_status(tmp_path)
    assert sum(status.films.values()) == 0
    assert sorted(status.counts) == [f"refused: {one.SOPClassUID.name}" for one in (
        refused[2], refused[1], refused[0])]  # fmt: skip


def test_peers_are_known_by_title_and_address(store: ArchivePeer, tmp_path: Path) -> None:
    peers = ("MODALITY@127.0.0.1", "ELSEWHERE@192.0.2.1")
    with node(tmp_path, store, peers=peers) as started:
        assert send(started.port, [film(1)], "STRANGER") == [None]
        assert send(started.port, [film(2)], "ELSEWHERE") == [None]
        assert send(started.port, [film(3)], called="OTHER") == [None]
        assert send(started.port, [film(4)]) == [0]
        status = settled(tmp_path)
    assert status.counts == {"associations of unknown peers rejected": 2}
    assert status.films["sent"] == 1


def test_a_film_without_patient_and_a_damaged_one_are_named(
    store: ArchivePeer, tmp_path: Path
) -> None:
    nobody = film(1, PatientID="")
    with node(tmp_path, store) as started:
        assert send(started.port, [nobody]) == [0]
        settled(tmp_path)
        started.spool.receive("1.2.3", b"no DICOM", "MODALITY")
        status = settled(tmp_path)
        assert [(one.film, one.instance) for one in status.failed] == [
            (1, nobody.SOPInstanceUID), (2, "1.2.3"),
        ]  # fmt: skip
        assert "got a film without Patient ID" in status.failed[0].reason
        assert "got a damaged one (InvalidDicomError)" in status.failed[1].reason
        nobody.PatientID = "P-1"  # put right, it is answered
        assert send(started.port, [nobody]) == [0]
        assert settled(tmp_path).films["sent"] == 1
    assert not store.stored[result_uid("1.2.3")]


def test_an_association_aborted_half_way_keeps_what_was_acknowledged(
    store: ArchivePeer, tmp_path: Path
) -> None:
    with node(tmp_path, store) as started:
        entity = AE("MODALITY")
        entity.add_requested_context(film(1).SOPClassUID, uid.ExplicitVRLittleEndian)
        association = entity.associate(LOOPBACK, started.port, ae_title="HILUM")
        assert association.send_c_store(film(1)).Status == 0
        begin_to_send(association, film(3))
        association.abort()
        with socket.create_connection((LOOPBACK, started.port)) as broken:
            broken.sendall(b"\x01\x00\x00\x00\xff\xff")  # an association request cut short
        assert settled(tmp_path).films["sent"] == 1
        assert send(started.port, [film(2)]) == [0]
        assert settled(tmp_path).films["sent"] == 2
        assert not [*(tmp_path / FILMS).iterdir()]


def begin_to_send(association: Association, one: Dataset) -> None:
    """Half of a film's pieces, and no more."""
    request = C_STORE()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID = one.SOPClassUID
    request.AffectedSOPInstanceUID = one.SOPInstanceUID
    request.DataSet = BytesIO(encode(one, False, True) or b"")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    (context,) = association.accepted_contexts
    pieces = [*message.encode_msg(context.context_id, 1024)]
    half = b"".join(P_DATA_TF(piece).encode() for piece in pieces[: len(pieces) // 2])
    assert len(half) > 4096
    assert association.dul.socket is not None
    association.dul.socket.send(half)


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("error", [FULL, sqlite3.OperationalError("database or disk is full")])
def test_a_full_disk_acknowledges_nothing_and_loses_nothing(
    store: ArchivePeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object) -> None:
        raise error

    with node(tmp_path, store) as started:
        with monkeypatch.context() as patch:
            if isinstance(error, OSError):
                patch.setattr("hilum.node.spool.os.fsync", full)
            else:
                patch.setattr("hilum.node.spool.Spool._enter", full)
            assert send(started.port, [film(1)]) == [0xA700]
            assert not [*(tmp_path / FILMS).iterdir()]
        assert send(started.port, [film(1)]) == [0]
        assert settled(tmp_path).films["sent"] == 1


def test_too_little_space_is_a_status(
    store: ArchivePeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilum.node.receive.LEAST_FREE", 2**62)
    with node(tmp_path, store) as started:
        assert send(started.port, [film(1)]) == [0xA700]


def test_a_disk_that_fills_while_results_are_written(
    store: ArchivePeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilum.node.work.PAUSE", 0.05)
    real, failures = Spool.give, [FULL] * 2

    def give(*words: object) -> None:
        if failures:
            raise failures.pop()
        real(*words)

    monkeypatch.setattr("hilum.node.spool.Spool.give", give)
    with node(tmp_path, store) as started:
        assert send(started.port, [film(1)]) == [0]
        assert settled(tmp_path).films["sent"] == 1
    assert not failures
    assert sum(store.stored.values()) == 1


def test_a_port_in_use_and_a_spool_in_use(store: ArchivePeer, tmp_path: Path) -> None:
    with node(tmp_path, store) as started:
        asked = Commitments(started.spool)
        second = Receiver(started.spool, "HILUM", (LOOPBACK, started.port), Peers({}), asked)
        with pytest.raises(HilumError, match="node needs a free port; got 127"):
            second.start()
        with pytest.raises(HilumError, match="one node at a time"), node(tmp_path, store):
            pass
