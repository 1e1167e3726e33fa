"""serve: a model over HTTP, and its page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hilum.cli import extras
from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.machine_options import with_machine_options
from hilum.types import NOTICE

EXTRA = ("fastapi", "pebble", "prometheus_client", "python_multipart", "uvicorn")


@app.command()
@with_machine_options
def serve(
    model: Annotated[Path, typer.Argument(help="A finished run's folder, or its model/ folder.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0: any free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File with the token that clients must send."),
    ] = None,
    accept_new_source: Annotated[
        bool, typer.Option("--accept-new-source", help="Answer films of a source new to the model.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Serve a model: a page for the browser, and an HTTP interface for programs."""
    extras.require("serve", EXTRA, "serve")
    from hilum.inference import cautions
    from hilum.serve.server import Address, Server

    screen = terminal(as_json, verbose, quiet)
    with screen.working():
        server = Server.of(
            model, Address(host, port), token_file, accept_new_source=accept_new_source
        )
    facts, url = server.service.model.facts, server.address.url
    for note in (*cautions.other_models(model), *cautions.unfinished(model)):
        screen.say(note, "yellow")
    screen.say(cautions.verdict_line(facts.judged))
    screen.say(f"{url} answers with {', '.join(facts.classes)}; Ctrl-C ends it.")
    screen.say(NOTICE, "dim")
    screen.give({
        "url": url, "digest": server.service.digest, "verdict": cautions.verdict_line(facts.judged),
        "notice": NOTICE,
    })  # fmt: skip
    sys.stdout.flush()  # a program may read the address from a pipe
    server.run()
