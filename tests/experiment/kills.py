"""A command on films in shards, to be killed: apart from its test, whose imports take seconds."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hilum.experiment import shards
from hilum.experiment.answering import BLOCK
from hilum.experiment.spread import ALONE, Spread
from hilum.progress import Progress, silent

PAUSE = 0.02  # seconds: a film that takes longer than these small ones do
LOG = "HILUM_TEST_LOG"  # a line for each part that was made
STEPS = ("clahe", "letterbox")
_real, _noting = shards.carry_out, shards._noting


def slowly(paths: Sequence[str], write: Callable[[str], object]) -> Callable[[Path], None]:
    """As the real one, with a pause at each film."""
    note = _noting(paths, write)

    def pausing(path: Path) -> None:
        note(path)
        time.sleep(PAUSE)

    return pausing


def logged(shard: shards.Shard, progress: Progress) -> int:
    """As the real one; parts that are made here are logged."""
    shards._noting = slowly
    known = shard.part.exists()
    count = _real(shard, progress)
    if not known:
        handle = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{shard.part.name}\n".encode())
        os.close(handle)
    return count


def main(command: str, home: Path, out: Path, environ: dict[str, str], alone: bool) -> None:
    """Carry a command out on the films of `home`, by two processes or by this one."""
    os.environ |= environ
    shards.carry_out = logged
    spread = ALONE if alone else Spread(2, resume=True, size=BLOCK)
    model, films = home / "model", home / "films"
    if command == "predict":  # each imports what it needs: a worker imports this module too
        from hilum.experiment import predict

        predict.predict_files(model, [films], out, silent, spread=spread)
    elif command == "evaluate":
        evaluate_briefly(model, films, out, spread)
    else:
        from hilum.experiment import prepare

        prepare.prepare_folder(films, prepare.steps_named(STEPS, 64), out, silent, spread)


def evaluate_briefly(model: Path, films: Path, out: Path, spread: Spread) -> None:
    """With the audits of tables and no figures; a report says the same whenever it is made."""
    import brevity
    from hilum.experiment import environment, evaluate

    environment.provenance = lambda seconds: {"seconds": 1.0}
    with brevity.audits_of_tables(), brevity.no_figures():
        evaluate.evaluate_model(model, films, out, silent, spread=spread)
