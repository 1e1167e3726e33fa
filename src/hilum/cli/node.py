"""node: a model next to a DICOM archive, and what its queue holds."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import extras
from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.machine_options import with_machine_options
from hilum.cli.terminal import Terminal
from hilum.types import NOTICE, HilumError

if TYPE_CHECKING:
    from hilum.node.node import NodeSettings
    from hilum.node.outcome import Sender
    from hilum.node.status import SpoolStatus

EXTRA = ("highdicom", "pynetdicom")
LOG_LINE = "%(asctime)s %(message)s"


@app.command()
@with_machine_options
def node(
    spool: Annotated[Path, typer.Option("--spool", help="Folder for the queue and its films.")],
    model: Annotated[
        Path | None, typer.Argument(help="A finished run's folder, or its model/ folder.")
    ] = None,
    aet: Annotated[str, typer.Option("--aet", help="AE title of this node.")] = "HILUM",
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="Port to listen on; 0: any free one.")
    ] = 11112,
    archive: Annotated[
        str | None, typer.Option("--archive", help="AET@HOST:PORT that results are sent to.")
    ] = None,
    stow: Annotated[
        str | None, typer.Option("--stow", help="URL that results are sent to, by STOW-RS.")
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", help="AET@HOST that may send films; repeatable. Others may not."),
    ] = None,
    modality: Annotated[
        list[str] | None,
        typer.Option("--modality", help="Answer films of it; repeatable. Default: CR, DX, CT."),
    ] = None,
    body_part: Annotated[
        list[str] | None,
        typer.Option("--body-part", help="Answer films of it, such as CHEST; repeatable."),
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option("--view", help="Answer films of it: PA, AP, lateral, axial; repeatable."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="Answer films that this AE title sends; repeatable."),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Print what the spool holds, and end.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Answer films of a DICOM archive: films come in, results go back into their studies."""
    screen = terminal(as_json, verbose, quiet)
    if status:
        _print_status(screen, spool)
        return
    if model is None:
        raise HilumError(
            "node needs the model that answers; got none; write hilum node MODEL --spool DIR, or "
            "add --status to see what the spool holds."
        )
    extras.require("node", EXTRA, "dicom")
    from hilum.node.node import NodeSettings
    from hilum.node.peers import Peers, ae_title
    from hilum.node.rules import MODALITIES, FilmRules

    title = ae_title(aet, "--aet")
    rules = FilmRules(
        tuple(name.upper() for name in modality or MODALITIES), tuple(body_part or ()),
        tuple(view or ()), tuple(source or ()),
    )  # fmt: skip
    settings = NodeSettings(title, host, port, spool, Peers.of(peer or (), host), rules)
    _run(screen, model, settings, _sender(title, archive, stow))


def _sender(title: str, archive: str | None, stow: str | None) -> "Sender":
    """STOW-RS where its address is given, else C-STORE."""
    if stow:
        from hilum.node.stow import StowSender, stow_url

        return StowSender(stow_url(stow))
    if not archive:
        raise HilumError(
            "node needs an archive for its results; got none; give --archive AET@HOST:PORT or "
            "--stow URL."
        )
    from hilum.node.peers import Archive
    from hilum.node.store import StoreSender

    return StoreSender(title, Archive.of(archive))


def _run(screen: Terminal, folder: Path, settings: "NodeSettings", sender: "Sender") -> None:
    """Load the model and answer until SIGTERM or Ctrl-C."""
    import warnings

    from hilum.api.model import load_model
    from hilum.inference import cautions
    from hilum.inference.digest import model_digest
    from hilum.node.node import log_to, run_until_signal, running
    from hilum.node.work import ModelAnswers

    with screen.working():
        model = load_model(folder)
        digest = model_digest(model.folder)
    warnings.simplefilter("ignore")  # readers of images quote what they find
    handler = logging.StreamHandler() if not screen.silent else logging.NullHandler()
    handler.setFormatter(logging.Formatter(LOG_LINE))
    log_to(handler)
    with running(settings, digest, ModelAnswers(model), sender) as node:
        for note in (*cautions.other_models(folder), *cautions.unfinished(folder)):
            screen.say(note, "yellow")
        screen.say(model.verdict)
        screen.say(f"{settings.title} takes films at {settings.host}:{node.port}; Ctrl-C ends it.")
        screen.say(NOTICE, "dim")
        screen.give({
            "aet": settings.title, "host": settings.host, "port": node.port, "digest": digest,
            "verdict": model.verdict, "notice": NOTICE,
        })  # fmt: skip
        sys.stdout.flush()  # a program may read the port from a pipe
        run_until_signal()


def _print_status(screen: Terminal, spool: Path) -> None:
    from hilum.node.status import read_status

    found = read_status(spool)
    screen.table("Films", ("state", "films"), [(name, str(n)) for name, n in found.films.items()])
    screen.table("Times", ("what", "value"), _times(found))
    counted = {**{f"left alone: {why}": n for why, n in found.left_alone.items()}, **found.counts}
    counted |= {f"results: {note}": n for note, n in found.notes.items()}
    screen.table("Counted", ("what", "times"), [(name, str(n)) for name, n in counted.items()])
    failed = [(str(film.film), film.instance, film.reason) for film in found.failed]
    screen.table("Failed", ("film", "SOP Instance UID", "why"), failed)
    if found.archive:
        screen.say(f"The archive cannot be used: {found.archive}.", "yellow")
    screen.give(found.as_json())


def _times(found: "SpoolStatus") -> list[tuple[str, str]]:
    def seconds(value: float | None) -> str:
        return "none" if value is None else f"{value:,.1f} s"

    return [
        ("age of the oldest film that waits for its answer", seconds(found.oldest_film_seconds)),
        (
            "age of the oldest result that waits for the archive",
            seconds(found.oldest_result_seconds),
        ),
        ("results that wait", str(found.results_waiting)),
        ("films sent within the last hour", str(found.sent_last_hour)),
        ("from film to result, median of the last 100", seconds(found.median_seconds)),
    ]
