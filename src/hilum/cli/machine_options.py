"""--device and --threads: how much of the machine a command uses, declared once."""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from hilum.cli.own_image_options import with_parameters

Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option("--device", help="auto: the GPU if there is one. Or cpu, or cuda."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Use at most N processor cores; default: all."),
]
OPTIONS: dict[str, tuple[Any, Any]] = {"device": (Device, "auto"), "threads": (Threads, None)}


def with_machine_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with OPTIONS in front of --json; they hold for all that it does."""

    # typer calls with keywords, those that the signature below names: nothing else arrives here
    @functools.wraps(command)
    def limited(**values_by_name: Any) -> None:
        _use(values_by_name.pop("device"), values_by_name.pop("threads"))
        command(**values_by_name)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = list(inspect.signature(command).parameters.values())
    at = [parameter.name for parameter in own].index("as_json")
    added = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in OPTIONS.items()
    ]
    return with_parameters(limited, [*own[:at], *added, *own[at:]])


def _use(device: str, threads: int | None) -> None:
    """Set what the library reads, here and in processes that it starts."""
    if device != "auto":
        from hilum.models.runtime import compiling

        os.environ[compiling.DEVICE] = device
    if threads is not None:
        from hilum import files

        files.limit_threads(threads)
