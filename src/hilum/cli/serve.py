"""serve: a model over HTTP, and its page."""

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.types import NOTICE, HilumError

EXTRA = ("fastapi", "uvicorn", "pebble", "prometheus_client", "python_multipart")


@app.command()
def serve(
    model: Annotated[Path, typer.Argument(help="A finished run's folder, or its model/ folder.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0: any free one.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with the token that clients send.")
    ] = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Answer films over HTTP with a finished model, and show a page for them."""
    try:
        from hilum.serve.server import Address, Server
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise HilumError(
            f"serve wants the extra 'serve'; got an installation without {error.name}; "
            "run pip install 'hilum[serve]'."
        ) from None
    screen = terminal(as_json, verbose, quiet)
    with screen.working():
        server = Server.of(model, Address(host, port), token_file)
    facts = server.service.model.facts
    screen.say(f"{server.address.url} answers with {', '.join(facts.classes)}; Ctrl-C ends it.")
    screen.say(NOTICE, "dim")
    screen.give({"url": server.address.url, "digest": server.service.digest, "notice": NOTICE})
    server.run()
