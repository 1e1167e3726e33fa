"""The files of a run or a test, to be compared with those of another."""

import json
from pathlib import Path
from typing import Any


def kept(out: Path) -> dict[str, Any]:
    """Every file below a folder: its bytes, of JSON what does not depend on time."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        found[name] = path.read_bytes()
        if name == "results.json":
            found[name] = {**json.loads(found[name]), "environment": None}
    return found
