"""The option --pseudonyms: a finished run's tables with codes for patients and images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hilum.interop.pseudonyms import Pseudonyms

Key = Annotated[
    Path | None,
    typer.Option(
        "--pseudonyms",
        help="A key file (made if absent): also write OUT/pseudonymous, tables with codes for "
        "patients and images.",
    ),
]


def read_key(key: Path | None) -> "Pseudonyms | None":
    """The codes of a key file; None without one."""
    if key is None:
        return None
    from hilum.interop.pseudonyms import Pseudonyms

    return Pseudonyms.of(key)


def write_with_codes(out: Path, pseudonyms: "Pseudonyms") -> str:
    """Write a run's tables with codes; where they are, in words."""
    from hilum.interop.pseudonyms import write_pseudonymous

    return f"Tables with codes for patients and images: {write_pseudonymous(out, pseudonyms)}"
