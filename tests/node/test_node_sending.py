"""How results travel: whole, at once, in an association that stays open; an archive that stalls."""

import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from dicom_peers import LOOPBACK, ArchivePeer, archive, film, node, send, wait_for
from pydicom import uid
from pynetdicom import build_context, evt
from pynetdicom.dimse_primitives import C_STORE
from test_node_command import as_file

from hilum.node.commitment import Commitments
from hilum.node.deliver import LONG, Delivery
from hilum.node.outcome import More, Outcome
from hilum.node.peers import Archive
from hilum.node.queue_tables import Result
from hilum.node.spool import Spool
from hilum.node.status import read_status
from hilum.node.store import StoreSender
from hilum.node.whole_messages import WholeMessages

KIND, SYNTAX = uid.SecondaryCaptureImageStorage, uid.ExplicitVRLittleEndian


def result(folder: Path, pixels: int) -> Result:
    """A result with so many bytes of pixels."""
    made = film(1, SOPClassUID=KIND, PixelData=bytes(pixels))
    path = folder / "result.dcm"
    path.write_bytes(as_file(made))
    return Result(1, 1, path, KIND, made.SOPInstanceUID, SYNTAX, 0)


def sender(peer: ArchivePeer, patience: float = 20.0) -> StoreSender:
    return StoreSender("HILUM", Archive("ARCHIVE", LOOPBACK, peer.port), patience)


def test_results_of_films_that_follow_go_in_one_association(tmp_path: Path) -> None:
    opened: list[object] = []
    with archive() as peer:
        peer.server.bind(evt.EVT_ACCEPTED, opened.append)
        with node(tmp_path, peer) as started:
            started.delivery.first_pause = 60.0  # so that it stays open as long as it may
            for seed in range(4):
                assert send(started.port, [film(seed)]) == [0]
                wait_for(lambda sent=seed + 1: read_status(tmp_path).films["sent"] == sent)
    assert len(opened) == 1
    assert len(peer.stored) == 4


class Listener:
    """An archive that takes whatever there is, and counts what it is asked to commit to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.asked: list[int] = []
        self.before: list[int] = []  # results sent before each question

    def send(self, results: Sequence[Result], more: More) -> Iterator[tuple[Result, Outcome]]:
        while results:
            for each in results:
                self.sent.append(each.instance)
                yield each, Outcome("sent")
            results = more()

    def ask(self, transaction: str, results: Sequence[Result]) -> bool:
        self.asked.append(len(results))
        self.before.append(len(self.sent))
        return True


def test_results_without_end_do_not_put_the_question_off(tmp_path: Path) -> None:
    """After LONG of them the archive is asked to commit, then the others are sent."""
    spool, peer, count = Spool(tmp_path, "digest"), Listener(), LONG + 40
    spool.receive("1.2.3", b"film", "MODALITY")
    taken = spool.take()
    assert taken is not None
    spool.give(taken, [(KIND, f"1.2.{i}", SYNTAX, b"result") for i in range(count)])
    delivery = Delivery(spool, peer, Commitments(spool), 0.05)
    delivery.start()
    wait_for(lambda: sum(peer.asked) >= count)
    delivery.stop()
    spool.close()
    assert len(peer.sent) == len({*peer.sent}) == count
    assert LONG <= peer.before[0] < count
    assert sum(peer.asked) == peer.before[-1] == count


@pytest.mark.parametrize("piece", [16384, 131072, 0])
def test_an_archive_gets_the_bytes_of_the_spool(tmp_path: Path, piece: int) -> None:
    """In pieces as large as it takes; 0 is any size."""
    got: list[bytes] = []
    one = result(tmp_path, 300_001)

    def store(event: "evt.Event") -> int:
        got.append(event.encoded_dataset(include_meta=False))
        return 0

    with archive() as peer:
        peer.server.ae.maximum_pdu_size = piece
        peer.server.bind(evt.EVT_C_STORE, store)
        assert [o.kind for _, o in sender(peer).send([one], list)] == ["sent"]
    assert len(got[0]) > 300_000
    assert one.path.read_bytes().endswith(got[0])


def test_an_answer_is_for_the_one_who_waits_for_it() -> None:
    """The association's own thread asks without waiting, and gets none."""
    with archive() as peer, sender(peer)._association([build_context(KIND)]) as association:
        messages = WholeMessages(association)
        messages.msg_queue.put((1, C_STORE()))
        assert messages.get_msg(block=False) == (None, None)
        assert messages.get_msg(block=True)[0] == 1


def test_small_messages_are_not_held_back() -> None:
    """And a write that nobody takes ends with the patience of the sender."""
    with (
        archive() as peer,
        sender(peer, 7.0)._association([build_context(KIND)]) as association,
    ):
        transport = association.dul.socket
        assert transport is not None
        assert transport.socket is not None
        assert transport.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert transport.socket.gettimeout() == 7.0


def test_an_archive_that_reads_no_more_is_not_waited_for_forever(tmp_path: Path) -> None:
    """Its system takes some bytes for it, then none."""
    stalled = threading.Event()
    with archive() as peer:
        peer.server.bind(evt.EVT_DATA_RECV, lambda e: e.data[0] == 4 and stalled.wait(60))
        ((_, outcome),) = sender(peer, 1.0).send([result(tmp_path, 2**26)], list)
        stalled.set()
    assert outcome == Outcome("later", "the archive gave no answer within 1 s")
