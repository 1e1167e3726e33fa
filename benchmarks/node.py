"""`hilum node` beside DCMTK's storescp and beside the same chain in a plain script.

    python benchmarks/node.py [--quick | --full]

Films of 2000 x 2000 by C-STORE: receiving alone; from film to three results in Orthanc; and the
processor's time of writing a film's three results. Needs Debian's orthanc, orthanc-dicomweb and
dcmtk; without them its rows say so. Receiving: each film has reached the disk before "success" in
hilum, and not in storescp.
"""

import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

import hilum
from hilum import phantom
from hilum.dicom.results import ResultMaker
from hilum.inference import model_folder
from latency import random_model
from side_by_side import Row, Size, absent, asked, finish, in_turn, workplace

TESTS = Path(__file__).resolve().parents[1] / "tests" / "dicom"
sys.path[:0] = [str(TESTS), str(TESTS / "archive")]

import orthanc  # noqa: E402
from result_films import as_file, film  # noqa: E402

SIDE, NAME = 2000, "tf_efficientnet_lite0"
HERE = Path(__file__).resolve().parent
LOOPBACK = orthanc.LOOPBACK


def film_of(folder: Path) -> Path:
    """A digital radiograph of 2000 x 2000 in 16 bits allocated, 12 stored."""
    pixels = phantom.generate(phantom.Request(images=1, size=SIDE, seed=3)).images[0]
    made = film("DX", Rows=SIDE, Columns=SIDE, PixelData=(pixels.astype("<u2") << 4).tobytes())
    path = folder / "film.dcm"
    path.write_bytes(as_file(made))
    return path


def send(port: int, title: str, path: Path, count: int) -> None:
    """The film so many times in one association, each time as another instance."""
    words = ("-aec", title, "+II", "--repeat", str(count), "-xe", LOOPBACK, str(port), str(path))
    orthanc.run("storescu", *words)


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """The process, ended afterwards."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def receive_only(folder: str) -> None:
    """The node's receiver and its spool, in a process of their own, without a model."""
    from hilum.node.commitment import Commitments
    from hilum.node.peers import Peers
    from hilum.node.receive import Receiver
    from hilum.node.spool import Spool

    spool = Spool(Path(folder), "none")
    receiver = Receiver(spool, "HILUM", (LOOPBACK, 0), Peers({}), Commitments(spool))
    receiver.start()
    print(receiver.port, flush=True)
    threading.Event().wait()


@contextmanager
def receiver(folder: Path) -> Iterator[tuple[int, int]]:
    """Port and process of the node's receiver."""
    words = [sys.executable, __file__, "--receiver", str(folder)]
    with ended(subprocess.Popen(words, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """The port of DCMTK's receiver."""
    folder.mkdir(exist_ok=True)
    (port,) = orthanc.free_ports(1)
    program = orthanc.program("storescp") or "storescp"
    words = [program, "-aet", "PEER", "+uf", "-od", str(folder), str(port)]
    with ended(subprocess.Popen(words, stdout=subprocess.DEVNULL, text=True)):
        orthanc.wait_for(partial(_answers, port), "storescp")
        yield port


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex((LOOPBACK, port)) == 0


def memory(process: int) -> int:
    """Resident MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


def receiving(path: Path, folder: Path, size: Size) -> list[Row]:
    """Films per second of both, in turn; the spool's memory at the start and at the end."""
    count = size.pick(20, 100, 1000)
    with receiver(folder / "spool") as (port, process), storescp(folder / "scp") as peer:
        held: list[int] = []

        def ours() -> None:
            send(port, "HILUM", path, count)
            held.append(memory(process))
            _empty(folder / "spool" / "films")

        def theirs() -> None:
            send(peer, "PEER", path, count)
            _empty(folder / "scp")

        spent = in_turn({"hilum node": ours, "DCMTK storescp": theirs}, size.pick(2, 3, 1))
    note = f"{count} films a turn; memory {held[0]} MiB after the first turn, {held[-1]} at the end"
    what, rate = f"receiving {SIDE} x {SIDE}", {who: count / s for who, s in spent.items()}
    return [
        Row("node", what, "hilum node", rate["hilum node"], "films/s", note=note),
        Row("node", what, "DCMTK storescp", rate["DCMTK storescp"], "films/s",
            rate["hilum node"] / rate["DCMTK storescp"], ">= 0.7 x, memory flat"),
    ]  # fmt: skip


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        each.unlink()


@contextmanager
def node(model: Path, folder: Path, archive: orthanc.Orthanc) -> Iterator[int]:
    """The port of `hilum node`."""
    target = f"{orthanc.AET}@{LOOPBACK}:{archive.dicom}"
    with orthanc.node(model, folder / "node", "--archive", target) as record:
        archive.know(record["port"])
        yield int(record["port"])


@contextmanager
def peer_node(archive: orthanc.Orthanc) -> Iterator[int]:
    """The port of the plain script."""
    words = [sys.executable, str(HERE / "peer_node.py"), NAME, str(archive.dicom)]
    with ended(subprocess.Popen(words, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


def answering(model: Path, path: Path, folder: Path, size: Size) -> list[Row]:
    """Films per second from the first film sent to the last of three results in the archive."""
    count = size.pick(6, 20, 100)
    with ExitStack() as stack:
        archive = stack.enter_context(_archive(folder))
        ports = {
            "hilum node": stack.enter_context(node(model, folder, archive)),
            "plain script": stack.enter_context(peer_node(archive)),
        }

        def chain(who: str, title: str) -> None:
            before = archive.ask("/statistics")["CountInstances"]
            send(ports[who], title, path, count)
            orthanc.wait_for(
                lambda: archive.ask("/statistics")["CountInstances"] >= before + 3 * count, who
            )

        runs: dict[str, Callable[[], None]] = {
            "hilum node": partial(chain, "hilum node", "HILUM"),
            "plain script": partial(chain, "plain script", "PEER"),
        }
        spent = in_turn(runs, size.pick(2, 3))
    what, rate = "film to three results", {who: count / seconds for who, seconds in spent.items()}
    return [
        Row("node", what, "hilum node", rate["hilum node"], "films/s", note=f"{count} films each"),
        Row("node", what, "plain script", rate["plain script"], "films/s",
            rate["hilum node"] / rate["plain script"], ">= 3 x",
            note="pynetdicom, pydicom, PyTorch, highdicom; its outline is a threshold"),
    ]  # fmt: skip


@contextmanager
def _archive(folder: Path) -> Iterator[orthanc.Orthanc]:
    """Orthanc; it stores results only, so that it sends nothing on."""
    home = folder / "orthanc"
    home.mkdir()
    with orthanc.orthanc(home) as archive:
        yield archive


def writing(model: Path, path: Path, size: Size) -> list[Row]:
    """The processor's time of a film's three objects, as bytes; decoding and network apart."""
    from hilum.dicom import source
    from hilum.dicom.parts import parts_of, picture_side

    loaded, data = hilum.load_model(model), path.read_bytes()
    maker = ResultMaker.of(model, loaded.trained)
    dataset, prediction = dcmread(BytesIO(data)), loaded.predict(data)
    image = source.decoded(dataset, picture_side(loaded.trained.pipeline.decode_side))
    assert image is not None
    one = source.read_source(dataset, image, parts_of)
    seen = maker.seen(loaded.trained.pipeline(image.pixels), prediction.label)
    spent = []
    for _ in range(size.pick(10, 40)):
        start = time.process_time()
        for each in maker.write(one, prediction, seen):
            each.save_as(BytesIO(), enforce_file_format=True)
        spent.append(time.process_time() - start)
    value = 1e3 * statistics.median(spent)
    note = f"fastest {1e3 * min(spent):.0f} ms, slowest {1e3 * max(spent):.0f} ms"
    return [Row("node", "writing SR + SC + SEG", "hilum", value, "ms of one core a film", None,
                "<= 60 ms", note=note)]  # fmt: skip


def main() -> None:
    """Print and store the table."""
    if sys.argv[1:2] == ["--receiver"]:
        receive_only(sys.argv[2])
    size = asked(__doc__, "node")
    warnings.simplefilter("ignore")
    with workplace() as folder:
        model = model_folder.save_trained_model(random_model(NAME), folder / "model")
        path = film_of(folder)
        rows = writing(model, path, size)
        if orthanc.missing():
            rows += [absent("node", what, orthanc.missing()) for what in ("receiving", "answering")]
        else:
            rows += receiving(path, folder, size)
            rows += answering(model, path, folder, size)
    finish(rows, size.out)


if __name__ == "__main__":
    main()
