"""An archive that commits to results, loses one, says nothing, or does not offer it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dicom_peers import (
    LOOPBACK,
    ArchivePeer,
    film,
    node,
    result_uid,
    send,
    settled,
    wait_for,
)
from pydicom import Dataset, uid
from pynetdicom import AE, build_role, evt

from hilum.node import commitment
from hilum.node.commitment import PUSH_INSTANCE, PUSH_MODEL, Commitments
from hilum.node.peers import Archive, Peers
from hilum.node.spool import Spool
from hilum.node.status import read_status
from hilum.node.store import StoreSender


def word(question: Dataset, lost: bool) -> Dataset:
    """The archive's word on a question: it keeps all, or nothing."""
    said = Dataset()
    said.TransactionUID = question.TransactionUID
    items = list(question.ReferencedSOPSequence)
    if lost:
        for item in items:
            item.FailureReason = 0x0112
        said.FailedSOPSequence = items
    else:
        said.ReferencedSOPSequence = items
    return said


def report(port: int, said: Dataset) -> int:
    """The status that a node answers to the archive's word."""
    entity = AE("ARCHIVE")
    entity.add_requested_context(PUSH_MODEL)
    role = build_role(PUSH_MODEL, scp_role=True)
    association = entity.associate(LOOPBACK, port, ae_title="HILUM", ext_neg=[role])
    assert association.is_established
    kind = 2 if "FailedSOPSequence" in said else 1
    status, _ = association.send_n_event_report(said, kind, PUSH_MODEL, PUSH_INSTANCE)
    association.release()
    return int(status.Status)


@contextmanager
def committing(answer: Callable[[Dataset], None]) -> Iterator[ArchivePeer]:
    """An archive that is asked to commit, and hands the question to the test."""

    def asked(event: "evt.Event") -> tuple[int, Any]:
        threading.Thread(target=answer, args=(event.action_information,), daemon=True).start()
        return 0, None

    peer = ArchivePeer()
    peer.start()
    peer.server.ae.add_supported_context(PUSH_MODEL)
    peer.server.contexts = peer.server.ae.supported_contexts
    peer.server.bind(evt.EVT_N_ACTION, asked)
    try:
        yield peer
    finally:
        peer.stop()


def test_a_result_that_the_archive_lost_is_sent_again(tmp_path: Path) -> None:
    """Lost the first time, kept the second; its file waits until then."""
    ports: list[int] = []
    statuses: list[int] = []
    files: list[int] = []

    def answer(question: Dataset) -> None:
        files.append(len([*(tmp_path / "results").iterdir()]))
        statuses.append(report(ports[0], word(question, lost=not statuses)))

    with committing(answer) as peer, node(tmp_path, peer) as started:
        ports.append(started.port)
        assert send(started.port, [film(1)]) == [0]
        wait_for(lambda: read_status(tmp_path).commitments == {"committed": 1})
        assert settled(tmp_path).films["sent"] == 1
        wait_for(lambda: not [*(tmp_path / "results").iterdir()])
        wait_for(lambda: len(statuses) == 2)
    assert statuses == [0, 0]
    assert files == [1, 1]
    assert peer.stored == {result_uid(film(1).SOPInstanceUID): 2}


def test_an_archive_that_does_not_offer_it_is_not_asked_again(tmp_path: Path) -> None:
    peer = ArchivePeer()
    peer.start()
    try:
        with node(tmp_path, peer) as started:
            assert send(started.port, [film(1)]) == [0]
            wait_for(lambda: read_status(tmp_path).commitment == "not offered by the archive")
            assert send(started.port, [film(2)]) == [0]
            status = settled(tmp_path)
            wait_for(lambda: not [*(tmp_path / "results").iterdir()])
    finally:
        peer.stop()
    assert (status.films["sent"], status.commitments) == (2, {})


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A queue with one film whose result was sent."""
    made = Spool(tmp_path, "digest")
    made.receive("1.2.3", b"film", "MODALITY")
    taken = made.take()
    assert taken is not None
    made.give(taken, [(uid.CTImageStorage, "1.2.4", uid.ExplicitVRLittleEndian, b"result")])
    (result,) = made.waiting(1)
    made.settle(result, "sent", "", commits=True)
    yield made
    made.close()


def test_silence_and_words_that_nobody_asked_for(spool: Spool, tmp_path: Path) -> None:
    """A wrong transaction changes nothing; three questions without an answer are enough."""
    asked = Commitments(spool, again=0.0)
    (result,) = asked.to_ask(9)
    question = Dataset()
    question.TransactionUID, item = "1.9", Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = uid.CTImageStorage, "1.2.4"
    question.ReferencedSOPSequence = [item]
    asked.heard(question)
    assert read_status(tmp_path).commitments == {"unasked": 1}
    for number in range(commitment.ASKS):
        assert asked.to_ask(9) == [result]
        asked.asking([result], f"1.{number}")
    assert asked.to_ask(9) == []
    assert read_status(tmp_path).commitments == {"unanswered": 1}
    assert not result.path.exists()


def test_a_question_that_did_not_arrive_is_put_again(spool: Spool, tmp_path: Path) -> None:
    asked = Commitments(spool)
    (result,) = asked.to_ask(9)
    asked.asking([result], "1.5")
    assert asked.to_ask(9) == []
    asked.take_back("1.5", 0.0)
    assert asked.to_ask(9) == [result]
    with pytest.raises(ConnectionError, match="cannot be reached"):
        StoreSender("HILUM", Archive("ARCHIVE", LOOPBACK, 1), 2.0).ask("1.6", [result])


def test_a_result_that_is_lost_again_and_again_has_failed(spool: Spool, tmp_path: Path) -> None:
    asked = Commitments(spool)
    for number in range(commitment.LOSSES):
        if number:
            (result,) = spool.waiting(1)
            spool.settle(result, "sent", "", commits=True)
        (result,) = asked.to_ask(9)
        asked.asking([result], f"1.{number}")
        question = Dataset()
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = uid.CTImageStorage, "1.2.4"
        question.TransactionUID, question.ReferencedSOPSequence = f"1.{number}", [item]
        asked.heard(word(question, lost=True))
    (failed,) = read_status(tmp_path).failed
    assert failed.reason == "the archive took it and does not keep it (0x0112), 5 times"


def test_a_restart_keeps_what_is_not_committed(spool: Spool, tmp_path: Path) -> None:
    spool.close()
    again = Spool(tmp_path, "digest")
    (result,) = Commitments(again).to_ask(9)
    assert result.path.read_bytes() == b"result"
    again.close()


def test_the_archive_is_a_peer() -> None:
    peers = Peers.of([f"MODALITY@{LOOPBACK}"], LOOPBACK, Archive("ARCHIVE", LOOPBACK, 104))
    assert peers.known("ARCHIVE", LOOPBACK)
    assert not peers.known("OTHER", LOOPBACK)
    assert Peers.of([], LOOPBACK, Archive("ARCHIVE", LOOPBACK, 104)).known("ANY", LOOPBACK)
