"""The entry point: registers every command, and ends an error in one sentence and its exit code."""

import re
import sys
import warnings
from io import TextIOWrapper
from itertools import pairwise

import typer
from rich.console import Console
from rich.text import Text
from typer.models import CommandInfo

from hilum.cli import (  # noqa: F401
    adapt,
    audit,
    card,
    check_table,
    compare,
    data,
    data_leaks,
    data_scan,
    doctor,
    export,
    extras,
    info,
    init,
    node,
    predict,
    prepare,
    serve,
    too_little_memory,
    train,
)
from hilum.cli.app import app
from hilum.cli.tables import clean
from hilum.types import HilumError, HilumWarning

# typer has taken click in: its errors of usage are reached through the one it shows
UsageError: type[typer.BadParameter] = typer.BadParameter.mro()[1]
ORDER = (
    *("demo", "init", "run", "train", "predict", "evaluate", "adapt", "explain", "audit"),
    *("serve", "node"),
    *("export", "card", "compare", "check-table", "prepare", "recipes", "show", "doctor"),
)  # of the commands in the help; others follow
LONGEST_NAME = 60  # characters of a name that a message shows
INTERRUPTED = 130  # what a shell reports of a program ended by Ctrl-C


def main() -> None:
    """Run the command line; exit codes as in the README."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text
    warnings.formatwarning = _formatted
    app.registered_commands.sort(key=_place)
    code, complaint = _outcome()
    if complaint:
        Console(stderr=True).print(Text.assemble(("error: ", "red"), complaint), soft_wrap=True)
    sys.exit(code)


def _formatted(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Our own warnings are sentences for people; others say where in the code they arise."""
    if issubclass(category, HilumWarning):
        return f"note: {clean(str(message))}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


def _place(command: CommandInfo) -> int:
    name = command.name or getattr(command.callback, "__name__", "")
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _outcome() -> tuple[int, str]:
    """Exit code, and the sentence to end with or ""."""
    if complaint := _empty_argument(sys.argv[1:]):
        return HilumError.exit_code, complaint
    try:
        code = app(standalone_mode=False, prog_name="hilum")
    except HilumError as error:
        return error.exit_code, clean(str(error))
    except UsageError as error:
        return HilumError.exit_code, _usage(error)
    except ModuleNotFoundError as error:  # an extra's, or torch in the small installation
        package = (error.name or "hilum").partition(".")[0]
        if package == "hilum":
            raise
        return HilumError.exit_code, extras.sentence(package) or (
            f"this command needs the package {package}; got an installation without it; run pip "
            "install hilum, which adds what is missing."
        )
    except UnicodeEncodeError as error:  # only names of files can hold what is no text
        name = ascii(str(error.object)[-LONGEST_NAME:])
        return HilumError.exit_code, (
            f"names of files and folders must be in UTF-8; got one that is not: {name}; rename it."
        )
    except (OSError, MemoryError, ImportError, RuntimeError, SystemError) as error:
        sentence = too_little_memory.sentence(error)
        if not (sentence or isinstance(error, OSError)):
            raise
        return HilumError.exit_code, sentence or clean(f"the system refused: {error}.")
    if code == INTERRUPTED:
        return (
            INTERRUPTED,
            "interrupted; --resume goes on with a run, or with a batch begun with it.",
        )
    return code if isinstance(code, int) else 0, ""


def _empty_argument(words: list[str]) -> str:
    """What to say of "" where a path or value belongs, which would mean the folder one is in."""
    for before, word in zip(["", *words], words, strict=False):
        if not word.strip() or re.fullmatch("--[a-z-]+=", word):
            place = word.rstrip("= ") or (before if before.startswith("-") else "an argument")
            return (
                f"{place} must not be empty; got {word!r}; if a variable of the shell was meant, "
                "it is not set."
            )
    return ""


def _usage(error: typer.BadParameter) -> str:
    """Say what is wrong with the command line, and where its help is."""
    message = " ".join(error.format_message().split()).rstrip(".")
    if not message:
        return ""  # called without arguments: its help was shown instead
    command = error.ctx.command_path if error.ctx else "hilum"
    return clean(f"{message}{_given(error)}; see `{command} --help`.")


def _given(error: typer.BadParameter) -> str:
    """What was given for the option that is wrong; some messages leave it out."""
    parameter = getattr(error, "param", None)
    names = tuple(getattr(parameter, "opts", ()))
    words = sys.argv[1:]
    values = [after for word, after in pairwise(words) if word in names]
    values += [word.partition("=")[2] for word in words if word.partition("=")[0] in names]
    value = next((value for value in values if value), "")
    return f"; got {value!r}" if value and value not in error.format_message() else ""
