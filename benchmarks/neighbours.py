"""What busy neighbours cost: the same work alone, and beside one spinning process per core.

    python benchmarks/neighbours.py [--quick]

The neighbours are stopped and let go again round by round, so that all else the machine does meets
both alike. A fair share is half of each core: twice the time. Where threads wait for each other it
is a little more. The last rows have libgomp's own waiting (GOMP_SPINCOUNT=300000, its default): a
thread that has done its part spins until the others have, on the core that they need.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from hilum import files
from side_by_side import Row, asked, finish, workplace

SIDE, BATCH, ASKED = 224, 8, 2.0
MANY, FITS = 64, 10  # films, fits: long enough that a time slice of the system does not decide
NETWORK = "tf_efficientnet_lite0"
SPINNING = {"GOMP_SPINCOUNT": "300000"}
WORK = ("training", "features", "probe")
TITLES = {
    "training": f"fine-tuning, {NETWORK}, steps of {BATCH} films",
    "features": f"features by OpenVINO, {NETWORK}, {MANY} films",
    "probe": f"linear head, 400 films, 1,280 features, {FITS} times",
}


def training() -> Callable[[], object]:
    """One step of the training loop that every run uses."""
    import torch
    from torch import nn

    from hilum.models import backbones
    from hilum.models.normalise import InputNormalisation
    from hilum.models.runtime.torch import has_bf16
    from hilum.training import loop

    torch.manual_seed(0)
    backbone = backbones.build_backbone(NETWORK)
    layers = (
        InputNormalisation(backbone.card.normalise),
        backbone,
        nn.Linear(backbone.card.features, 2),
    )
    model = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    plan = loop.LoopConfig("sgd", (1e-3,), 0.0, bf16=has_bf16(torch.device("cpu")), keep="last")
    films, labels = torch.from_numpy(_films(BATCH))[:, None], torch.arange(BATCH) % 2

    class Once:
        def train(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            yield films, labels

        def validation(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            yield films[:1], labels[:1]

    return lambda: loop.train_network(model, Once(), plan)


def features() -> Callable[[], object]:
    """One image per request, as many requests as cores."""
    from torch import nn

    from hilum.models import backbones
    from hilum.models.normalise import InputNormalisation
    from hilum.models.runtime import compiling

    backbone = backbones.build_backbone(NETWORK)
    network = nn.Sequential(InputNormalisation(backbone.card.normalise), backbone)
    run, films = compiling.compile_network(network, (SIDE, SIDE)), _films(MANY)
    return lambda: run(films)


def probe() -> Callable[[], object]:
    """The head of a frozen network, from strong to weak penalty."""
    from hilum.training import linear_probe as heads

    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    shown = rng.normal(0, 1, (400, 1280)).astype(np.float32) + labels[:, None] * 0.1
    parts = [heads.LabelledFeatures(shown[k::2].astype(np.float32), labels[k::2]) for k in (0, 1)]
    return lambda: [heads.fit_probe(parts[0], parts[1], np.ones(2)) for _ in range(FITS)]


def _films(count: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE), np.uint8)


@contextmanager
def neighbours(count: int) -> Iterator[Callable[[bool], None]]:
    """Processes that compute without end; the function lets them go (True) or stops them."""
    code = (sys.executable, "-c", "while True: pass")
    busy = [subprocess.Popen(code) for _ in range(count)]

    def set_going(wanted: bool) -> None:
        for process in busy:
            process.send_signal(signal.SIGCONT if wanted else signal.SIGSTOP)
        time.sleep(0.1)

    try:
        yield set_going
    finally:
        for process in busy:
            process.kill()
            process.wait()


def timed(work: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of one piece of work, alone and beside neighbours, round by round."""
    run = {"training": training, "features": features, "probe": probe}[work]()
    spent: dict[str, list[float]] = {"alone": [], "beside": []}
    with neighbours(files.available_cpus()) as set_going:
        set_going(False)
        run()
        for _ in range(rounds):
            for name, seconds in spent.items():
                set_going(name == "beside")
                start = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - start)
    return spent


def measured(work: str, rounds: int, extra: dict[str, str]) -> tuple[float, float]:
    """Median seconds alone, and beside neighbours, in a process of its own with `extra` set."""
    command = (sys.executable, __file__, "--one", work, str(rounds))
    done = subprocess.run(
        command, env=os.environ | extra, stdout=subprocess.PIPE, text=True, check=True
    )
    spent = json.loads(done.stdout.splitlines()[-1])
    return statistics.median(spent["alone"]), statistics.median(spent["beside"])


def main() -> None:
    """Print and store the table."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(timed(sys.argv[2], int(sys.argv[3]))))
        return
    size = asked(__doc__, "neighbours")
    rows = []
    with workplace():
        for work, who, extra in (
            *((work, "hilum", {}) for work in WORK),
            ("training", "libgomp's own waiting", SPINNING),
        ):
            alone, beside = measured(work, size.pick(3, 7, 25), extra)
            rows.append(Row("neighbours", TITLES[work], f"{who}, alone", 1e3 * alone, "ms"))
            rows.append(
                Row(
                    "neighbours", TITLES[work], f"{who}, {files.available_cpus()} busy neighbours",
                    1e3 * beside, "ms", beside / alone, f"<= {ASKED:g} x of the time alone",
                )
            )  # fmt: skip
    finish(rows, size.out)


if __name__ == "__main__":
    main()
