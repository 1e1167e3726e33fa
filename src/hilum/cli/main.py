"""The entry point: registers every command, and ends an error in one sentence and its exit code."""

import os
import sys

from rich.console import Console
from rich.markup import escape

from hilum.cli import data, inspect, runs, use  # noqa: F401 - importing registers their commands
from hilum.cli.app import app
from hilum.types import HilumError


def main() -> None:
    """Run the command line; exit codes as in the README."""
    try:
        app()
    except HilumError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # the reader of a pipe has gone; silence the flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _complain("interrupted; what was finished is kept.")
        sys.exit(130)


def _complain(sentence: str) -> None:
    console = Console(stderr=True)
    console.print(f"[red]error:[/] {escape(sentence)}", soft_wrap=True, highlight=False)
