"""`hilum serve` beside the same model in FastAPI and plain PyTorch, in process, and bare.

    python benchmarks/serve.py [--quick] [--data FOLDER]

One film after another; eight clients at once; twenty times as many; and from the command to the
first answer. Servers and clients share this machine's cores: so does the peer.
"""

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

import hilum
from hilum.inference import exported, model_folder
from latency import hilum as answer_and_map
from latency import random_model
from side_by_side import Row, Size, asked, films, finish, in_turn, workplace

FILM, CLIENTS, CROWD = 1024, 8, 160  # the crowd is more than the queue holds
HILUM = (sys.executable, "-c", "from hilum.cli.main import main; main()")
PEER = str(Path(__file__).with_name("peer_server.py"))
ROUTES = {"answer": "/v1/predict", "answer and map": "/v1/predict?heatmap=true"}
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Service:
    """A server in a process of its own."""

    process: "subprocess.Popen[str]"
    port: int

    def post(self, path: str, film: bytes) -> int:
        """One request by a connection of its own; its status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", path, film, {"Content-Type": "application/octet-stream"})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    def memory(self) -> int:
        """Resident bytes of the server and its decoders."""
        root = Path(f"/proc/{self.process.pid}")
        children = [(t / "children").read_text().split() for t in (root / "task").iterdir()]
        pids = [str(self.process.pid), *(pid for some in children for pid in some)]
        return sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in pids) * PAGE


@contextmanager
def serving(folder: Path) -> Iterator[Service]:
    """`hilum serve` on a free port."""
    process = subprocess.Popen(
        [*HILUM, "serve", str(folder), "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        text += process.stdout.readline()
    yield Service(process, int(json.loads(text)["url"].rstrip("/").rpartition(":")[2]))
    process.send_signal(signal.SIGTERM)
    process.wait()


@contextmanager
def peer(name: str, film: bytes) -> Iterator[Service]:
    """The peer, from its first answer on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = Service(subprocess.Popen([sys.executable, PEER, name, str(port)], text=True), port)
    while True:
        try:
            service.post("/predict", film)
            break
        except OSError:
            time.sleep(0.2)
    yield service
    service.process.terminate()
    service.process.wait()


def one_by_one(name: str, folder: Path, paths: Sequence[str], size: Size) -> list[Row]:
    """A warm film to its answer, with and without heat map."""
    data = [Path(path).read_bytes() for path in paths]
    model = hilum.load_model(folder)
    maps = answer_and_map(model.trained)

    def each(act: Callable[[str], object]) -> None:
        for path in paths:
            act(path)

    with serving(folder) as served, peer(name, data[0]) as other:

        def send(service: Service, path: str) -> None:
            assert all(service.post(path, film) == 200 for film in data)

        spent = in_turn(
            {
                "serve, answer and map": partial(send, served, ROUTES["answer and map"]),
                "serve, answer": partial(send, served, ROUTES["answer"]),
                "FastAPI + PyTorch, answer and map": partial(send, other, "/predict"),
                "in process, answer and map": partial(each, maps),
                "Model.predict": partial(each, model.predict),
            },
            size.pick(2, 7),
        )
    ours = {"Model.predict": "serve, answer"}
    wanted = {"FastAPI + PyTorch, answer and map": ">= 5 x"}
    return [
        Row(
            "serve", f"{name}: warm film", who, 1e3 * seconds / len(paths), "ms per film",
            None if who.startswith("serve")
            else seconds / spent[ours.get(who, "serve, answer and map")],
            "" if who.startswith("serve") else wanted.get(who, ">= 0.77 x (within 1.3 x)"),
        )
        for who, seconds in spent.items()
    ]  # fmt: skip


@dataclass(slots=True)
class Crowd:
    """Clients that ask one film after another, and what became of their requests."""

    seconds: list[float] = field(default_factory=list)  # of requests that were answered
    statuses: list[int] = field(default_factory=list)
    lost: int = 0

    def ask(self, service: Service, data: Sequence[bytes], clients: int, until: float) -> None:
        """All at once, until that moment of the monotonic clock."""
        threads = [
            threading.Thread(target=self._one, args=(service, data[i % len(data)], until))
            for i in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one(self, service: Service, film: bytes, until: float) -> None:
        while (start := time.monotonic()) < until:
            try:
                status = service.post(ROUTES["answer"], film)
            except OSError:
                self.lost += 1
                continue
            self.statuses.append(status)
            if status == 200:
                self.seconds.append(time.monotonic() - start)


def many(folder: Path, paths: Sequence[str], size: Size) -> list[Row]:
    """Eight clients beside the bare network, then twenty times as many."""
    model, duration = exported.load(folder), float(size.pick(8, 60))
    data = [Path(path).read_bytes() for path in paths]
    stack = np.stack([model.pipeline(hilum.read_image(path).pixels) for path in paths] * 8)
    model.runtime(stack)
    start, computed = time.monotonic(), 0
    while time.monotonic() - start < duration / 4:
        model.runtime(stack)
        computed += len(stack)
    bare = computed / (time.monotonic() - start)
    with serving(folder) as service:
        Crowd().ask(service, data, CLIENTS, time.monotonic() + 3)
        eight = Crowd()
        eight.ask(service, data, CLIENTS, time.monotonic() + duration)
        Crowd().ask(service, data, CROWD, time.monotonic() + 3)  # fills the queue once
        before, crowd = service.memory(), Crowd()
        crowd.ask(service, data, CROWD, time.monotonic() + duration)
        after, ended = service.memory(), time.monotonic()
        while service.post(ROUTES["answer"], data[0]) != 200:
            assert time.monotonic() - ended < 60
        healthy = time.monotonic() - ended
    rate, middle = len(eight.seconds) / duration, statistics.median(eight.seconds)
    late = float(np.quantile(eight.seconds, 0.99))
    refused = crowd.statuses.count(503)
    others = len(crowd.statuses) - refused - len(crowd.seconds)
    return [
        Row("serve", "Lite0, images at once", "bare network", bare, "images/s", rate / bare,
            ">= 0.85 x"),
        Row("serve", f"Lite0, {CLIENTS} clients", "serve", rate, "images/s", None,
            "p99 <= 4 x median",
            note=f"median {1e3 * middle:.0f} ms, p99 {1e3 * late:.0f} ms ({late / middle:.1f} x)"),
        Row("serve", f"Lite0, {CROWD} clients", "serve", len(crowd.seconds) / duration,
            "images/s", None,
            "none lost, memory +-5 %, healthy in 5 s",
            note=f"{refused} refused, {others} other, {crowd.lost} lost; memory "
            f"{100 * (after / before - 1):+.1f} % of {before / 2**20:.0f} MiB; healthy after "
            f"{healthy:.2f} s"),
    ]  # fmt: skip


def cold(folder: Path, path: str, size: Size) -> list[Row]:
    """From the command to the first answer, networks converted before."""
    film = Path(path).read_bytes()

    def first() -> None:
        with serving(folder) as service:
            assert service.post(ROUTES["answer"], film) == 200
            ready.append(time.perf_counter())

    ready: list[float] = []
    torch: list[float] = []
    spent: list[float] = []
    for _ in range(size.pick(1, 5)):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        torch.append(time.perf_counter() - start)
        start = time.perf_counter()
        first()
        spent.append(ready.pop() - start)
    ours, theirs = statistics.median(spent), statistics.median(torch)
    return [
        Row("serve", "start to first answer", "serve", ours, "s"),
        Row("serve", "start to first answer", "import torch", theirs, "s", theirs / ours,
            ">= 0.67 x (within 1.5 x)"),
    ]  # fmt: skip


def main() -> None:
    """Print and store the table."""
    size = asked(__doc__, "serve")
    rows = []
    with workplace() as folder:
        paths = list(films(size, size.pick(2, 8), FILM, folder / "films")["path"])
        for name in ("tf_efficientnet_lite0", "resnet50")[: size.pick(1, 2)]:
            saved = model_folder.save_trained_model(random_model(name), folder / name)
            rows += one_by_one(name, saved, paths, size)
        lite = folder / "tf_efficientnet_lite0"
        rows += [*many(lite, paths, size), *cold(lite, paths[0], size)]
    finish(rows, size.out)


if __name__ == "__main__":
    main()
