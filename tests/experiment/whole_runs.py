"""A small whole run, to be killed: apart from its tests, whose imports take seconds."""

import os
from collections.abc import Callable
from pathlib import Path

from hilum import recipes
from hilum.experiment import environment, tasks
from hilum.progress import Advance, silent
from hilum.recipes import Recipe

LOG = "HILUM_TEST_LOG"  # a line for each step of a run and for how far it is
TUNED = '{name="all", trainable="all", optimiser="adamw", epochs=6, lr=1e-3, batch=4}'
SOURCE = (
    'source={classes=["normal","bacterial_pneumonia"], least_auroc=0.0, '
    'data=[{phantom={images=16, size=64, seed=9, classes=["normal","bacterial_pneumonia"]}}], '
    f'train={{balance="none", stages=[{{}}, {TUNED}]}}}}'
)


def plan(*changes: str) -> Recipe:
    """Twenty-four drawn films, two folds, a head and then the whole network, every audit."""
    return recipes.load_recipe(
        "demo",
        changes=[
            'classes=["covid19","normal"]',
            'data=[{phantom={images=24, size=64, seed=3, classes=["covid19","normal"]}}]',
            "model.backbone=test_efficientnet",
            "model.weights=random",
            "prepare.side=64",
            "augment.views=1",
            "figures=[]",
            "seeds=[0]",
            "split={kind='kfold',folds=2}",
            f"train.stages=[{{}}, {TUNED}]",
            *changes,
        ],
    )


def main(out: Path, environ: dict[str, str], workers: int, changes: tuple[str, ...]) -> None:
    """Carry the run out, or go on with it; what tells two equal runs apart is left out.

    Samples are not made smaller as elsewhere: its workers, which share the audits, would not know.
    """
    os.environ |= environ
    environment.provenance = lambda seconds: {"seconds": 1.0}
    tasks.run_into(plan(*changes), None, out, logged, resume=True, workers=workers)


def logged(step: str) -> Advance:
    """A progress that writes its steps to the file that LOG names, if any."""
    if LOG not in os.environ:
        return silent(step)
    write = _writer(Path(os.environ[LOG]))
    write(f"{step} 0")

    def advance(done: int, total: int) -> None:
        write(f"{step} {done}")

    return advance


def _writer(path: Path) -> Callable[[str], None]:
    def write(line: str) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{line}\n".encode())
        os.close(handle)

    return write
