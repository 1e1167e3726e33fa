"""node: a model next to a DICOM archive, and what its queue holds."""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli import extras, serve
from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.machine_options import with_machine_options
from hilum.cli.terminal import Terminal
from hilum.types import NOTICE, HilumError

if TYPE_CHECKING:
    from hilum.node.answers import ModelAnswers
    from hilum.node.node import NodeSettings
    from hilum.node.outcome import Sender
    from hilum.node.peers import Archive
    from hilum.node.status import SpoolStatus

EXTRA = ("highdicom", "pebble", "pynetdicom")
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
    http: Annotated[
        int | None,
        typer.Option("--http", help="Serve the same model on this port, as hilum serve does."),
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
    if http is not None:
        extras.require("node --http", serve.EXTRA, "serve")
    from hilum.node.node import NodeSettings
    from hilum.node.peers import Archive, Peers, ae_title
    from hilum.node.rules import MODALITIES, FilmRules

    title = ae_title(aet, "--aet")
    rules = FilmRules(
        tuple(name.upper() for name in modality or MODALITIES), tuple(body_part or ()),
        tuple(view or ()), tuple(source or ()),
    )  # fmt: skip
    target = None if stow or not archive else Archive.of(archive)
    sender, peers = _sender(title, target, stow), Peers.of(peer or (), host, target)
    _run(screen, model, NodeSettings(title, host, port, spool, peers, rules), sender, http)


def _sender(title: str, archive: "Archive | None", stow: str | None) -> "Sender":
    """STOW-RS where its address is given, else C-STORE."""
    if stow:
        from hilum.node.stow import StowSender, stow_url

        return StowSender(stow_url(stow))
    if not archive:
        raise HilumError(
            "node needs an archive for its results; got none; give --archive AET@HOST:PORT or "
            "--stow URL."
        )
    from hilum.node.store import StoreSender

    return StoreSender(title, archive)


def _run(
    screen: Terminal, folder: Path, settings: "NodeSettings", sender: "Sender", http: int | None
) -> None:
    """Load the model and answer until SIGTERM or Ctrl-C."""
    import warnings

    from hilum.inference import cautions
    from hilum.node.node import log_to, run_until_signal, running

    warnings.simplefilter("ignore")  # readers of images quote what they find
    handler = logging.StreamHandler() if not screen.silent else logging.NullHandler()
    handler.setFormatter(logging.Formatter(LOG_LINE))
    log_to(handler)
    with (
        _answers(screen, folder, http) as (answers, url),
        running(settings, answers.maker.identity.digest, answers, sender) as node,
    ):
        identity = answers.maker.identity
        for note in (*cautions.other_models(folder), *cautions.unfinished(folder)):
            screen.say(note, "yellow")
        screen.say(identity.verdict)
        screen.say(f"{settings.title} takes films at {settings.host}:{node.port}; Ctrl-C ends it.")
        if url:
            screen.say(f"{url} answers with the same model.")
        screen.say(NOTICE, "dim")
        screen.give({
            "aet": settings.title, "host": settings.host, "port": node.port,
            "digest": identity.digest, "verdict": identity.verdict, "notice": NOTICE,
            **({"url": url} if url else {}),
        })  # fmt: skip
        sys.stdout.flush()  # a program may read the port from a pipe
        run_until_signal()


@contextmanager
def _answers(
    screen: Terminal, folder: Path, http: int | None
) -> "Iterator[tuple[ModelAnswers, str]]":
    """One model, for the node alone or for a page as well, and the page's address or ""."""
    from hilum.inference import exported
    from hilum.inference.model_json import find_model_folder
    from hilum.node.answers import own_answers, shared_answers

    with ExitStack() as stack:
        with screen.working():
            home = find_model_folder(folder)
            if http is not None:
                found = stack.enter_context(shared_answers(home, http))
            else:
                found = stack.enter_context(own_answers(home, exported.load(home))), ""
        yield found


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
        ("results that the archive has committed to keep", _committed(found)),
        ("films sent within the last hour", str(found.sent_last_hour)),
        ("from film to result, median of the last 100", seconds(found.median_seconds)),
    ]


def _committed(found: "SpoolStatus") -> str:
    """How many, and what is not committed to."""
    states, others = found.commitments, {"unasked": "not asked yet", "asked": "asked"}
    others["unanswered"] = "without an answer"
    words = [f"{states[state]} {word}" for state, word in others.items() if states.get(state)]
    words += [found.commitment] if found.commitment else []
    return ", ".join([str(states.get("committed", 0)), *words])
