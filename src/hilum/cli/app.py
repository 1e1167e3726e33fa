"""The typer application, and the flags that several commands share."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

import hilum
from hilum.cli.terminal import Terminal
from hilum.types import NOTICE, HilumError

START = (
    "New here? `hilum demo` needs nothing but this installation. With images of your own: "
    "`hilum init FOLDER`, or `hilum train FOLDER` at once."
)

app = typer.Typer(
    name="hilum",
    help="\n\n".join((str(hilum.__doc__).partition("\n\n")[0], START, NOTICE)),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON only.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Print more details.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", envvar="HILUM_DATA", help="Folder with the public datasets, each as published."
    ),
]


def terminal(as_json: bool, verbose: int, quiet: bool) -> Terminal:
    """The terminal that a command's flags ask for."""
    return Terminal(as_json=as_json, verbosity=-1 if quiet else verbose)


def checked_mode(mode: str | None) -> Literal["published", "corrected"] | None:
    """A recipe's mode, or None for its own; HilumError for another word."""
    if mode not in (None, "published", "corrected"):
        raise HilumError(f"--mode must be published or corrected; got {mode!r}; choose one.")
    return mode  # type: ignore[return-value]  # narrowed by the test above


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"hilum {hilum.__version__}\n")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass
