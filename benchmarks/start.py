"""How long the command line takes to start, each time in a new process.

    python benchmarks/start.py [--quick]

Beside it the time that `import torch` alone takes. `hilum predict` of one film loads a model folder
made here; its converted networks are in the cache, as they are after the first prediction.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path

from hilum.inference import model_folder
from latency import random_model
from side_by_side import Row, asked, films, finish, in_turn, workplace

HILUM = (sys.executable, "-c", "from hilum.cli.main import main; main()")


def run(*command: str) -> None:
    """A process to its end; CalledProcessError where it fails."""
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    """Print and store the table."""
    size = asked(__doc__, "start")
    with workplace() as folder:
        path = films(size, 1, 1024, folder / "films")["path"].iloc[0]
        saved = model_folder.save_trained_model(
            random_model("tf_efficientnet_lite0"), Path(folder) / "model"
        )
        rivals = {
            "import torch": partial(run, sys.executable, "-c", "import torch"),
            "hilum --help": partial(run, *HILUM, "--help"),
            "hilum predict, one film": partial(
                run, *HILUM, "predict", str(saved), path, "--out", str(folder / "preds.csv")
            ),
        }
        spent = in_turn(rivals, size.pick(1, 5))
    wanted = {"hilum --help": "< 0.5 s", "hilum predict, one film": "< 3 s"}
    rows = [
        Row("start", what, "hilum" if "hilum" in what else "torch", seconds, "s",
            None if what == "import torch" else spent["import torch"] / seconds,
            wanted.get(what, ""))
        for what, seconds in spent.items()
    ]  # fmt: skip
    finish(rows, size.out)


if __name__ == "__main__":
    main()
