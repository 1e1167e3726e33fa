"""How much faster several processes predict a batch than one: whole commands, in turn.

    python benchmarks/scale.py [--quick] [--data FOLDER]

One process on one core against two workers of one thread each, one process on all cores, and a Ray
of two cores where Ray is installed. The core is pinned: --threads 1 alone decodes in one thread
while the network works in another. A command on few films says what it takes to start; the rest is
the rate. The tables must be the same bytes.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from hilum.inference import model_folder
from latency import random_model
from side_by_side import Row, absent, asked, films, finish, in_turn, peer, workplace
from start import HILUM, run

FEW = 64  # enough for a shard of each worker
ONE, TWO, ALL, RAY = "1 core", "2 workers", "1 process, all cores", "Ray, 2 cores"
PINNED = ("taskset", "-c", "0")
HOW: Mapping[str, tuple[str, ...]] = {
    ONE: ("--threads", "1"),
    TWO: ("--workers", "2"),
    ALL: (),
    RAY: ("--workers", "2", "--ray", "local"),
}
ASKED = {TWO: ">= 1.85 x", RAY: ">= 1.75 x"}


def main() -> None:
    """Print and store the table."""
    size = asked(__doc__, "scale")
    with workplace() as folder:
        paths = films(size, size.pick(600, 4000, 20_000), 1024, folder / "films")["path"]
        model = random_model("tf_efficientnet_lite0")
        saved = model_folder.save_trained_model(model, folder / "model")
        whole, few = (
            linked(paths.iloc[:count].tolist(), folder / f"{count}") for count in (len(paths), FEW)
        )
        here = [name for name in HOW if name != RAY or peer("ray")]
        commands = {
            (name, count): partial(
                run, *(PINNED if name == ONE else ()), *HILUM, "predict", str(saved), str(where),
                "-q", *HOW[name], "--out", str(folder / f"{name}-{count}.csv"),
            )
            for name in here
            for count, where in ((FEW, few), (len(paths), whole))
        }  # fmt: skip
        names = {f"{name}, {count}": command for (name, count), command in commands.items()}
        spent = in_turn(names, size.pick(1, 3))
        first = (folder / f"{ONE}-{len(paths)}.csv").read_bytes()
        rows = []
        for name in here:
            start, total = (spent[f"{name}, {count}"] for count in (FEW, len(paths)))
            alone = [spent[f"{ONE}, {count}"] for count in (FEW, len(paths))]
            same = (folder / f"{name}-{len(paths)}.csv").read_bytes() == first
            agreement = "same bytes" if same else "other bytes"
            rate, rate_alone = (
                (len(paths) - FEW) / seconds for seconds in (total - start, alone[1] - alone[0])
            )
            wanted = ASKED.get(name, "")
            rows += [
                Row("scale", f"predict, {len(paths):,} films", name, total, "s",
                    alone[1] / total, "", agreement),
                Row("scale", "without what starting takes", name, rate, "films/s",
                    rate / rate_alone, wanted),
            ]  # fmt: skip
        if RAY not in here:
            rows.append(absent("scale", "predict", RAY))
    finish(rows, size.out)


def linked(paths: list[str], folder: Path) -> Path:
    """A folder of links to films."""
    folder.mkdir()
    for number, path in enumerate(paths):
        (folder / f"{number:06}{Path(path).suffix}").symlink_to(path)
    return folder


if __name__ == "__main__":
    main()
