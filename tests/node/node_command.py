"""`hilum node` as a process of its own, as a user starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

ENTRY = "from hilum.cli import main; main()"


def start(folder: Path, *words: str | Path) -> "tuple[subprocess.Popen[str], dict[str, object]]":
    """The command, once it listens, and the record that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRY, "node", str(folder), "--port", "0", "--json",
         *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy(),
    )  # fmt: skip
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("}"):
            return process, json.loads(text)
    raise AssertionError(process.communicate()[1])
