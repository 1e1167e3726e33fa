"""--workers, --resume and --ray of commands that share many files out, declared once."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hilum.experiment.spread import Spread

Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=1, help="Use N processes of one core each. The results are the same."
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Keep what an interrupted command has done.")
]
Ray = Annotated[
    str, typer.Option("--ray", help="Use the Ray at this address, or local: one of its own.")
]


def spread_of(workers: int, resume: bool, ray: str) -> "Spread":
    """The same as one thing; each process has the cores of --threads, or one."""
    from hilum import files
    from hilum.experiment.spread import Spread

    return Spread(workers, resume, files.wanted_threads() or 1, ray=ray)
