"""--workers, --resume and --ray of commands that share many files out, declared once."""

from typing import Annotated

import typer

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
