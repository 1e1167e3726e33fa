"""Processes that end at one film, as tasks: apart from tests, whose imports take seconds."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.experiment import shards
from hilum.inference import answer
from hilum.progress import Progress
from hilum.training import ray_train

DEADLY = "037.png"


def always(shard: shards.Shard, progress: Progress) -> int:
    """Answer a shard; every process that is to read DEADLY ends there."""
    return _answer(shard, progress, once=False)


def at_first(shard: shards.Shard, progress: Progress) -> int:
    """The same of the first process; it leaves a mark among the parts."""
    return _answer(shard, progress, once=True)


def _answer(shard: shards.Shard, progress: Progress, once: bool) -> int:
    real, mark = answer.prepare_file, shard.folder / "died"

    def prepare(source: Path, *rest: object) -> answer.PreparedImage:
        if source.name == DEADLY and not (once and mark.exists()):
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return real(source, *rest)  # type: ignore[arg-type]

    answer.prepare_file = prepare  # type: ignore[assignment]
    try:
        return shards.carry_out(shard, progress)
    finally:
        answer.prepare_file = real


@dataclass(frozen=True)
class CopyWork:
    """A part is the texts of its files; the first process at it may end, before or after that."""

    ends: str = ""  # "before" or "after" the part is there

    def carry_out(self, shard: shards.Shard, watch: shards.Watch) -> None:
        for number, path in enumerate(shard.paths):
            watch.reading(Path(path))
            if self.ends == "before" and number:
                self._end(shard)
        with shard.writing() as temporary:
            temporary.write_text("".join(Path(path).read_text() for path in shard.paths))
        with (shard.folder / "log").open("a") as log:
            log.write(f"{shard.number}\n")
        if self.ends == "after":
            self._end(shard)

    def _end(self, shard: shards.Shard) -> None:
        mark = shard.folder / f"ended-{shard.number}"
        if not mark.exists():
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)


def train_and_end_once(config: dict[str, Any]) -> None:
    """A worker of Ray Train; the second one ends once an epoch is done, of the first group."""
    import ray.train

    folder, mark = Path(config["folder"]), Path(config["place"].folder) / "died"
    if ray.train.get_context().get_world_rank() == 1 and not mark.exists():
        threading.Thread(target=_end_after_an_epoch, args=(folder, mark)).start()
    ray_train._work(config)


def _end_after_an_epoch(folder: Path, mark: Path) -> None:
    while not (folder / ray_train.EPOCHS).exists():
        time.sleep(0.01)
    mark.write_text("")
    os.kill(os.getpid(), signal.SIGKILL)
