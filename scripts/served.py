"""`hilum serve` in a bare environment: started, asked, ended as its user would."""

import json
import re
import signal
import subprocess
from pathlib import Path
from threading import Timer
from urllib.request import Request, urlopen

from bare_environment import CheckError, Environment

STARTS_WITHIN = 180  # seconds; a first start converts the network
PATHS = ("/", "/v1/model", "/ready", "/metrics", "/openapi.json")


def ask(environment: Environment, model: Path, film: Path) -> dict[str, float]:
    """A server's probabilities of one film; CheckError where a page, an answer or the end fails."""
    words = [str(environment.folder / "bin/hilum"), "serve", str(model), "--port", "0"]
    server = subprocess.Popen(
        words, env=environment.variables, cwd=environment.home, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    limit = Timer(STARTS_WITHIN, server.kill)
    limit.start()
    try:
        url = _address(server)
        for path in PATHS:
            with urlopen(url + path, timeout=60):  # noqa: S310  (our own server)
                pass
        sent = Request(f"{url}/v1/predict", film.read_bytes(), {"Content-Type": "image/png"})  # noqa: S310
        with urlopen(sent, timeout=120) as reply:  # noqa: S310
            answer = json.load(reply)
        server.send_signal(signal.SIGTERM)
        if code := server.wait(timeout=60):
            raise CheckError(f"hilum serve should end with exit code 0; got {code}")
    except OSError as error:
        raise CheckError(f"hilum serve should answer; got {error}") from error
    finally:
        limit.cancel()
        server.kill()
        server.wait()
    (row,) = answer["predictions"]
    return {name: float(p) for name, p in row["probabilities"].items()}


def _address(server: "subprocess.Popen[str]") -> str:
    """The address that a server prints once it listens."""
    printed = []
    assert server.stdout is not None  # noqa: S101  (it is piped)
    for line in server.stdout:
        printed.append(line)
        if found := re.match(r"(http://\S+) answers with ", line):
            return found[1].rstrip("/")
    raise CheckError(f"hilum serve should print its address; got: {''.join(printed)}")
