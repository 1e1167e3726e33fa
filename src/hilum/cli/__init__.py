"""The command line: one subcommand is one function call; heavy imports stay inside commands."""

from hilum.cli.main import main

__all__ = ["main"]
